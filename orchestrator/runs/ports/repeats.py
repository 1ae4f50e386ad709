"""A PRM that a tree asks for a text once, though it draws it again in a later batch."""

from collections.abc import Sequence

from orchestrator.core.node import FORKS, Node
from orchestrator.core.ports import PRM


class OncePRM:
    """Scores each whole solution of one tree once; its repeats take the scores for nothing.

    Batches of these come one after the other. The subtrees of a search grow side by side, and which
    of two equal texts came first would be chance there: each is scored where it grows.
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
