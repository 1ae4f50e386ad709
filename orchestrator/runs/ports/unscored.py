"""A PRM for searches that use none."""

from collections.abc import Sequence

from orchestrator.core.node import Node


class Unscored:
    """Scores nothing."""

    async def score(self, nodes: Sequence[Node]) -> list[Node]:
        return list(nodes)
