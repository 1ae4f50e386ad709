"""Paid work on many items, a few at a time, that stops cleanly when the budget ends."""

from collections.abc import Awaitable, Callable, Collection
from typing import TypeVar

from orchestrator.core.fanout import fan_out
from orchestrator.errors import BudgetExhausted

T = TypeVar("T")


async def work_off(
    items: Collection[T], work: Callable[[T], Awaitable[None]], *, in_flight: int
) -> None:
    """Do ``work`` on every item, on ``in_flight`` of them at once.

    Raises ``BudgetExhausted`` once everything started by then is finished; any other error of
    ``work`` at once.
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
