"""A PRM that scores each text of a tree once, even if a later batch draws it again."""

from collections.abc import Sequence

from orchestrator.core.node import FORKS, Node
from orchestrator.core.ports import PRM


class OncePRM:
    """Scores each whole solution of one tree once; repeats take its scores for free.

    Batches of whole solutions come one after the other. The subtrees of a search grow side by side,
    where chance would decide which of two equal texts comes first, so each is scored there.
    """

    def __init__(self, prm: PRM) -> None:
        self.prm = prm
        self._known: dict[tuple[str, ...], tuple[float, ...]] = {}

    async def score(self, nodes: Sequence[Node]) -> list[Node]:
        repeats = {node.path for node in nodes if _is_whole(node) and node.steps in self._known}
        new = [node for node in nodes if node.path not in repeats]
        scored = {node.path: node for node in (await self.prm.score(new) if new else [])}
        self._known.update(
            (node.steps, node.scores) for node in scored.values() if _is_whole(node) and node.scores
        )
        judged = (
            node.scored(self._known[node.steps]) if node.path in repeats else scored.get(node.path)
            for node in nodes
        )
        return [node for node in judged if node is not None]


def _is_whole(node: Node) -> bool:
    """Whether a node is a finished sample of the problem itself, or of a fork of that."""
    forks = node.path[:-1]
    is_of_the_problem = len(forks) < 2 and all(number >= FORKS for number in forks)
    return node.is_finished and not node.earlier and is_of_the_problem
