"""Structured concurrency: run coroutines side by side, leave nothing behind."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")
Item = TypeVar("Item")


async def fan_out(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Run all of them at once and return their results in order.

    When one fails the others are cancelled and awaited, and the error that started it is raised by
    itself. Whoever is cancelled meanwhile gets ``CancelledError``, whatever else fails.
    """
    pending = list(coroutines)
    if len(pending) == 1:
        return [await pending[0]]
    group = _TaskGroup()
    tasks = [group.start(coroutine) for coroutine in pending]
    await group.finish()
    return [task.result() for task in tasks]


async def feed(
    items: Iterable[Item],
    work: Callable[[Item], Coroutine[Any, Any, None]],
    slots: asyncio.Semaphore,
) -> None:
    """Begin the ``work`` on each item as soon as one of the ``slots`` is free, and let it go at its
    end; work that waits may let go of its slot meanwhile. Items are taken one by one.

    Fails as ``fan_out`` does.
    """
    group = _TaskGroup()

    async def begin() -> None:
        await slots.acquire()
        for item in items:
            group.start(work(item)).add_done_callback(lambda _: slots.release())
            await slots.acquire()
        slots.release()

    group.start(begin())
    await group.finish()


class _TaskGroup:
    """Tasks of which the first to fail ends all.

    ``asyncio.TaskGroup`` prefers its tasks' errors to a cancellation that comes as they fail, and
    so lets a tree go on whose time is up. And up to Python 3.12 it leaves its parent with a
    cancellation that nobody asked for (python/cpython#116720), which a later ``asyncio.timeout``
    around it takes for another's and raises ``CancelledError``.
    """

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()
        self._failures: list[BaseException] = []
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def start(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(coroutine)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._failures.append(failure)
        if not self._over.done() and (self._failures or not self._running):
            self._over.set_result(None)

    async def finish(self) -> None:
        """Return when all tasks are over. Raises the first failure, once the others are over."""
        cancelled: asyncio.CancelledError | None = None
        try:
            if self._running:
                await self._over
        except asyncio.CancelledError as error:
            cancelled = error
        for task in self._running:
            task.cancel()
        while self._running:
            try:
                await asyncio.wait(self._running)
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled
        if self._failures:
            raise self._failures.pop(0)
