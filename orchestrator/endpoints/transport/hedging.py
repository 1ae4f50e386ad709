"""Hedging: a request that takes unusually long is sent once more, and the first answer counts.

Both carry the same body and so the same seed: on a deterministic endpoint either answer is the
other. The one that lost is cancelled, which closes its connection and ends its work at the server.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")

USUAL_PERCENTILE = 95.0
_FEW, _RECENT = 20, 512


@dataclass(slots=True)
class Stragglers:
    """Tells what takes unusually long: longer than ``percentile`` of 100 recent answers."""

    percentile: float = USUAL_PERCENTILE
    _recent: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT))
    _after: float | None = None
    _new: int = 0

    def record(self, seconds: float) -> None:
        self._recent.append(seconds)
        self._new += 1
        if self._new >= _FEW:
            self._new = 0
            ordered = sorted(self._recent)
            self._after = ordered[min(len(ordered) - 1, int(len(ordered) * self.percentile / 100))]

    @property
    def after(self) -> float | None:
        """Seconds after which a request is a straggler; None while too little is known."""
        return self._after


async def hedged(
    first: Coroutine[Any, Any, T], again: Callable[[], Awaitable[T] | None], after: float
) -> T:
    """The answer of ``first``, or of ``again`` where that comes first.

    ``again`` is called after so many seconds and may decline with None. Raises what ``first``
    raised where neither answers.
    """
    one = asyncio.ensure_future(first)
    tasks = [one]
    try:
        done, _ = await asyncio.wait(tasks, timeout=after)
        if not done and (other := again()) is not None:
            tasks.append(asyncio.ensure_future(other))
        pending = set(tasks)
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if not task.cancelled() and task.exception() is None:
                    return task.result()
        return one.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
