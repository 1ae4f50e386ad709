"""Requests at a dispatcher in virtual time: waiting takes none, and every instant is exact."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from orchestrator.core.node import Node, Tree
from orchestrator.endpoints.admission.circuit_breaker import IN_A_ROW
from orchestrator.endpoints.admission.dispatcher import Dispatcher
from orchestrator.endpoints.admission.queues import Slot
from orchestrator.endpoints.admission.replicas import Replica
from orchestrator.errors import EndpointUnavailable
from servers.simulated import clock

A, B = "http://a", "http://b"
GONE = EndpointUnavailable("nothing answers at http://a", url=A)


def now() -> float:
    return asyncio.get_running_loop().time()


def node(question: str = "q", *, run: str = "", number: int = 0, begun: bool = False) -> Node:
    tree = Tree(run=run, number=number)
    return Node(question=question, seed=1, path=(0,) if begun else (), tree=tree)


def in_virtual_time(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def wrapped() -> None:
        clock.run(test())

    wrapped.__name__ = test.__name__
    return wrapped


async def use(
    dispatcher: Dispatcher, asked: Node | None = None, seconds: float = 1.0
) -> tuple[Replica, float]:
    """One request that takes so long: where it went, and when."""
    slot = await dispatcher.admit(asked)
    began = now()
    try:
        await asyncio.sleep(seconds)
        dispatcher.succeeded(slot, 1.0)
    finally:
        dispatcher.release(slot)
    return slot.replica, began


async def kill(dispatcher: Dispatcher, replica: Replica) -> None:
    for _ in range(IN_A_ROW):
        dispatcher.failed(Slot(replica, now()), GONE)


async def keeping(dispatcher: Dispatcher, work: Awaitable[Any]) -> Any:
    keeper = asyncio.create_task(dispatcher.keep_rates())
    try:
        return await work
    finally:
        keeper.cancel()
