"""Virtual time: an event loop whose clock jumps to the next timer as soon as nothing else is left.

An hour of a simulated fleet takes as long as its computing takes, and every instant comes out the
same on every run. ``loop.time()`` starts at 0 and is what ``asyncio.sleep``, ``asyncio.timeout``
and ``call_at`` go by.

What is supported: coroutines, timers, ``run_in_executor`` and ``asyncio.to_thread`` (time stands
still until the thread has answered, so that its real speed changes nothing), and threads of one's
own that report by ``call_soon_threadsafe``: what they report is seen before time jumps where it is
there already, and waited for where no timer is left. Sockets and subprocesses are served, but
time does not wait for them.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_RESOLUTION_S = 1e-6


def run(main: Coroutine[Any, Any, T]) -> T:
    """``asyncio.run`` in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose ``time`` is seconds of virtual time, from 0."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)
        # Timers are due this much early; the default of 1 ns is lost in a float after some months.
        self._clock_resolution = _RESOLUTION_S

    def time(self) -> float:
        return self._jumping.now

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        future = super().run_in_executor(executor, func, *args)
        self._jumping.owed += 1
        future.add_done_callback(self._answered)
        return future

    def _answered(self, _future: object) -> None:
        self._jumping.owed -= 1


class _JumpingSelector(selectors.DefaultSelector):
    """Instead of waiting ``timeout`` seconds it moves ``now`` on by as many.

    ``owed`` threads have still to answer; meanwhile it really waits, and ``now`` stays.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.owed = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self.owed or timeout is None:
            return super().select(timeout if timeout is not None and timeout <= 0 else None)
        ready = super().select(0)
        if not ready:
            self.now += max(timeout, 0.0)
        return ready
