"""Which nodes live on."""

from collections.abc import Iterable, Sequence

from orchestrator.core.rewards import Reward, value
from orchestrator.core.tree import Node


def best(nodes: Iterable[Node], count: int, reward: Reward) -> list[Node]:
    """The ``count`` nodes of the highest value, best first; ties go to the earlier path."""
    return sorted(nodes, key=lambda node: (-value(node.scores, reward), node.path))[:count]


def usable(children: Sequence[Node]) -> list[Node]:
    """Children worth keeping: no duplicates, no empty steps, none cut off."""
    kept: dict[str, Node] = {}
    for child in children:
        step = child.steps[-1].strip() if child.steps else ""
        if step and child.finish not in ("length", "overflow", "filtered", "refused"):
            kept.setdefault(step, child)
    return list(kept.values())
