"""Do paid work on many items, a few at a time, and stop cleanly when the budget ends."""

from collections.abc import Awaitable, Callable, Collection
from typing import TypeVar

from orchestrator.core.fanout import fan_out
from orchestrator.errors import BudgetExhausted

T = TypeVar("T")


async def for_each(
    items: Collection[T], work: Callable[[T], Awaitable[None]], *, in_flight: int
) -> None:
    """Do ``work`` on every item, ``in_flight`` of them at a time.

    ``BudgetExhausted`` is raised after the work under way has finished, any other error at once.
    """
    queue, exhausted = iter(items), list[BudgetExhausted]()

    async def worker() -> None:
        for item in queue:
            try:
                await work(item)
            except BudgetExhausted as error:
                exhausted.append(error)
            if exhausted:
                return

    await fan_out(worker() for _ in range(min(in_flight, len(items))))
    if exhausted:
        raise exhausted[0]
