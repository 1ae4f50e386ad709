"""A PRM that a tree asks for a text once, though it draws it again in a later batch."""

from collections.abc import Sequence

from orchestrator.core.ports import PRM
from orchestrator.core.tree import Node


class OncePRM:
    """Scores each finished text of one tree once; its repeats take the scores for nothing."""

    def __init__(self, prm: PRM) -> None:
        self.prm = prm
        self._known: dict[tuple[str, ...], tuple[float, ...]] = {}

    async def score(self, nodes: Sequence[Node]) -> list[Node]:
        new = [node for node in nodes if node.steps not in self._known]
        scored = {node.path: node for node in (await self.prm.score(new) if new else [])}
        self._known.update(
            (node.steps, node.scores)
            for node in scored.values()
            if node.is_finished and node.finish != "overflow"
        )
        judged = (
            node.scored(self._known[node.steps])
            if node.steps in self._known and node.path not in scored
            else scored.get(node.path)
            for node in nodes
        )
        return [node for node in judged if node is not None]
