"""The time of one tree, which stands still while the tree waits for its turn."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class TreeClock:
    """A tree works until its run's ``deadline``, its pool's, ``until``, or for ``allowed`` seconds
    of its own; it holds one of the run's ``slots`` while it does. Deadlines are by the event loop's
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
        """Whether the run's time is up before the tree's own."""
        return self.deadline == self._run_deadline

    @property
    def is_the_pools(self) -> bool:
        """Whether the pool's time is what was up."""
        return self.has_expired and self.deadline == self._pools

    @property
    def worked(self) -> float:
        """Seconds."""
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
        """Waiting: the time that passes is not the tree's, and its slot is another's."""
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


def _when(deadline: float) -> float | None:
    return None if math.isinf(deadline) else deadline
