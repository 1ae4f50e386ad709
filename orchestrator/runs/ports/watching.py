"""Ports that report each response."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from orchestrator.core.node import Node
from orchestrator.core.ports import Models, Sampling


@dataclass(frozen=True, slots=True)
class Watched:
    """The ports of one tree; ``on_response`` is called after each response."""

    models: Models
    on_response: Callable[[], None]

    async def extend(self, node: Node, n: int, sampling: Sampling) -> list[Node]:
        children = await self.models.policy.extend(node, n, sampling)
        self.on_response()
        return children

    async def score(self, nodes: Sequence[Node]) -> list[Node]:
        scored = await self.models.prm.score(nodes)
        self.on_response()
        return scored
