"""Structured concurrency: run coroutines side by side, leave nothing behind."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")
Item = TypeVar("Item")


async def fan_out(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Run all of them at once and return their results in order.

    When one fails the others are cancelled and awaited, and the error that started it is raised
    by itself, not wrapped in a group.
    """
    pending = list(coroutines)
    if len(pending) == 1:
        return [await pending[0]]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine) for coroutine in pending]
    except BaseExceptionGroup as failures:
        raise first_cause(failures) from None
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

    try:
        async with asyncio.TaskGroup() as group:
            await slots.acquire()
            for item in items:
                task = group.create_task(work(item))
                task.add_done_callback(lambda _: slots.release())
                await slots.acquire()
            slots.release()
    except BaseExceptionGroup as failures:
        raise first_cause(failures) from None


def first_cause(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error inside a (nested) exception group."""
    first = failures.exceptions[0]
    return first_cause(first) if isinstance(first, BaseExceptionGroup) else first
