"""Work handed from the event loop to the compute thread, and its result handed back."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


class EngineDead(Exception):
    """The compute thread has failed; nothing this process serves will be answered any more."""


@dataclass(slots=True, eq=False)
class JobTicket(Generic[T]):
    """A request's place. Made on the event loop; resolved or failed on the compute thread."""

    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[T]"
    cancelled: bool = False  # set on the event loop, read between steps by the compute thread
    arrived: float = field(default_factory=time.monotonic)

    @classmethod
    def open(cls) -> "JobTicket[T]":
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
        def settle() -> None:
            if not self.future.done():
                self.future.set_result(value)

        self._call(settle)

    def fail(self, error: Exception) -> None:
        def settle() -> None:
            if not self.future.done():
                self.future.set_exception(error)

        self._call(settle)

    def _call(self, callback: Callable[[], None]) -> None:
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(callback)
