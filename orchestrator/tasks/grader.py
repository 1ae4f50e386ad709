"""The grader of mathematical answers, one for voting and for evaluation."""

import asyncio
from collections import OrderedDict
from typing import Self

from orchestrator.tasks import answers as reading
from orchestrator.tasks.equality import quick
from orchestrator.tasks.pool import Workers


class MathGrader:
    """Reads and compares mathematical answers; implements ``core.ports.Grader``.

    What plain comparison decides is answered at once; the rest goes to ``workers`` processes,
    started when first needed, where a comparison that takes longer than ``seconds`` is killed and
    counts as not equal. The last ``cache`` verdicts are kept, and a comparison under way is
    never begun twice. ``percent`` also accepts numbers a factor of 100 apart.

    Use it as an async context manager: leaving it ends its processes.
    """

    def __init__(
        self, *, percent: bool = False, workers: int = 2, seconds: float = 5.0, cache: int = 16_384
    ) -> None:
        self._percent = percent
        self._workers = Workers(count=workers, seconds=seconds)
        self._capacity = cache
        self._verdicts: OrderedDict[tuple[str, str], bool] = OrderedDict()
        self._under_way: dict[tuple[str, str], asyncio.Event] = {}
        self._endless: set[str] = set()
        self.killed = 0
        """Comparisons that were killed, for the run's record."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._workers.close()

    async def extract(self, text: str) -> str | None:
        """The answer a solution states, or None where it states none."""
        return reading.extract(text)

    async def equal(self, answer: str, reference: str) -> bool:
        """Whether two answers mean the same. Raises ``TaskError`` where no worker can start."""
        key = (answer, reference)
        while key in self._under_way:
            await self._under_way[key].wait()  # should its asker be cancelled, the next one asks
        if key in self._verdicts:
            self._verdicts.move_to_end(key)
            return self._verdicts[key]
        verdict = quick(answer, reference, percent=self._percent)
        if verdict is None:
            self._under_way[key] = asyncio.Event()
            try:
                verdict = await self._by_algebra(answer, reference)
            finally:
                self._under_way.pop(key).set()
        self._remember(key, verdict)
        return verdict

    async def _by_algebra(self, answer: str, reference: str) -> bool:
        if not self._endless.isdisjoint((answer, reference)):
            return False
        verdict = await self._workers.same(answer, reference)
        if verdict is None:
            self.killed += 1
            # A tower of powers would take its time anew against each answer of the tree: an answer
            # that does not even come to an end against 1 is from now on equal to itself alone.
            for each in {answer, reference} - self._endless:
                if await self._workers.same(each, "1") is None:
                    self._endless.add(each)
        return bool(verdict)

    def _remember(self, key: tuple[str, str], verdict: bool) -> None:
        self._verdicts[key] = verdict
        while len(self._verdicts) > self._capacity:
            self._verdicts.popitem(last=False)
