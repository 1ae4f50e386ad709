"""The time of one tree, which stands still while the tree waits for its turn in a pool, and that of
its models."""

import asyncio
import math
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager


class TreeClock:
    """A tree works until its run's ``deadline``, its pool's (``until``), or for ``allowed``
    seconds, and holds one of the run's ``slots`` meanwhile. Deadlines are by the event loop's
    clock."""

    def __init__(
        self,
        deadline: float,
        allowed: float | None,
        *,
        until: float = math.inf,
        slots: asyncio.Semaphore | None = None,
    ) -> None:
        self._run_deadline, self._pools, self._latest = deadline, until, min(deadline, until)
        self._allowed = math.inf if allowed is None else allowed
        self._slots = slots or asyncio.Semaphore()
        self._loop = asyncio.get_running_loop()
        self._begun = self._loop.time()
        self._timeout = asyncio.timeout_at(_when(self.deadline))
        self._aside: float | None = None
        self.has_waited = False

    @property
    def deadline(self) -> float:
        return min(self._latest, self._begun + self._allowed)

    @property
    def is_the_runs(self) -> bool:
        """Whether the run's deadline comes first."""
        return self.deadline == self._run_deadline

    @property
    def is_the_pools(self) -> bool:
        """Whether the pool's time is up."""
        return self.has_expired and self.deadline == self._pools

    @property
    def worked(self) -> float:
        """Seconds, without those spent waiting."""
        return (self._loop.time() if self._aside is None else self._aside) - self._begun

    @property
    def has_expired(self) -> bool:
        return self._timeout.expired()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Raises ``TimeoutError`` when the time is up."""
        async with self._timeout:
            yield

    @asynccontextmanager
    async def aside(self) -> AsyncIterator[None]:
        """Wait: the clock stands still, and another tree gets the slot."""
        self.has_waited, self._aside = True, self._loop.time()
        self._timeout.reschedule(_when(self._latest))
        self._slots.release()
        try:
            yield
        finally:
            await self._slots.acquire()
            self._begun += self._loop.time() - self._aside
            self._aside = None
        self._timeout.reschedule(_when(self.deadline))


class Stopwatch:
    """Adds up the ``seconds`` in which something is under way, however much of it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._seconds, self._under_way, self._since = 0.0, 0, 0.0

    @property
    def seconds(self) -> float:
        running = self._loop.time() - self._since if self._under_way else 0.0
        return self._seconds + running

    @contextmanager
    def running(self) -> Iterator[None]:
        """Something is under way."""
        if not self._under_way:
            self._since = self._loop.time()
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._seconds += self._loop.time() - self._since


def _when(deadline: float) -> float | None:
    return None if math.isinf(deadline) else deadline
