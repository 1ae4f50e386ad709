"""A pool shares one cap among all problems of a job.

First every problem draws its pilots, so that each has an answer whenever the job ends. Then each
batch goes to the problem with the highest expected gain per unit, until no batch fits the rest of
the cap.
"""

import asyncio
import heapq
from dataclasses import dataclass, field

from orchestrator.optimal.shared_budget.caps import Cap


@dataclass(slots=True, order=True)
class BatchRequest:
    """A problem's request for a batch, ordered by priority: sure gains first, then by gain per unit
    of the cap, then those with fewer solutions ``drawn``. ``expected`` is the batch's use."""

    is_unsure: bool
    minus_gains: float
    drawn: int
    number: int
    expected: float = field(compare=False)
    granted: asyncio.Future[bool] = field(
        compare=False, default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Pool:
    """Grants batches within one ``cap``, at most ``width`` of them at a time."""

    def __init__(self, cap: Cap) -> None:
        self._cap = cap
        self._to_come = 0
        self._width = 1
        self._started: set[int] = set()
        self._waiting: list[BatchRequest] = []
        self._under_way: dict[int, float] = {}

    def open(self, problems: int, width: int, used: float = 0.0) -> None:
        """Start a job of ``problems``; finished ones ``used`` a part of the cap."""
        self._to_come, self._width = problems, width
        self._cap.open(used)

    @property
    def deadline(self) -> float:
        """When the cap ends, by the event loop's clock; infinite unless it is a cap on time."""
        return self._cap.deadline

    @property
    def share(self) -> float:
        """The used part of the cap, from 0 to 1."""
        return self._cap.share

    def all_started(self) -> None:
        """Called when no further problem will start."""
        self._to_come = 0
        self._hand_out()

    async def turn(
        self,
        number: int,
        *,
        used: float,
        sure: bool,
        gains: float,
        expected: float,
        drawn: int,
        is_paid: bool = False,
    ) -> bool:
        """Wait until problem ``number`` may draw another batch; False if the cap has no room.

        ``used`` is what its pilots or its last batch used. A batch that ``is_paid``, since an
        earlier session of the job drew it, is granted at once.
        """
        if is_paid:
            self._cap.settle(0.0, used)
            return True
        self._settle(number, used)
        turn = BatchRequest(not sure, -gains, drawn, number, expected)
        heapq.heappush(self._waiting, turn)
        self._hand_out()
        return await turn.granted

    def finish(self, number: int, used: float) -> None:
        """Called when a problem is settled or has failed; its last batch ``used`` this."""
        self._settle(number, used)
        self._hand_out()

    def _settle(self, number: int, used: float) -> None:
        self._cap.settle(self._under_way.pop(number, 0.0), used)
        if number not in self._started:
            self._started.add(number)
            self._to_come -= 1

    def _hand_out(self) -> None:
        while self._to_come <= 0 and self._waiting and len(self._under_way) < self._width:
            turn = self._waiting[0]
            fits = self._cap.fits(turn.expected)
            if not turn.granted.done():
                if not fits and self._under_way:
                    return  # it may fit once these end
                if fits:
                    self._cap.set_aside(turn.expected)
                    self._under_way[turn.number] = turn.expected
                turn.granted.set_result(fits)
            heapq.heappop(self._waiting)
