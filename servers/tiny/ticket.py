"""Work handed from the event loop to the compute thread, and its result handed back."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field


class EngineDead(Exception):
    """The compute thread has failed; nothing this process serves will be answered any more."""


@dataclass(slots=True, eq=False)
class Ticket[T]:
    """A request's place. Made on the event loop; resolved or failed on the compute thread."""

    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[T]"
    cancelled: bool = False  # set on the event loop, read between steps by the compute thread
    arrived: float = field(default_factory=time.monotonic)

    @classmethod
    def open(cls) -> "Ticket[T]":
        loop = asyncio.get_running_loop()
        return cls(loop, loop.create_future())

    async def wait(self) -> T:
        """The result. A caller that is cancelled meanwhile gives up its place."""
        try:
            return await self.future
        except asyncio.CancelledError:
            self.cancelled = True
            raise

    def resolve(self, value: T) -> None:
        self._call(lambda: self.future.done() or self.future.set_result(value))

    def fail(self, error: Exception) -> None:
        self._call(lambda: self.future.done() or self.future.set_exception(error))

    def _call(self, callback: Callable[[], object]) -> None:
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(callback)


