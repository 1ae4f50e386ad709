"""How the tree searches grow one node: the paper's rules for children that cannot be used."""

from orchestrator.core.ports import PRM, Policy, Sampling
from orchestrator.core.selection import usable
from orchestrator.core.tree import Node

TRIES = 3
"""How often a node is sampled when not one usable child comes of it."""

BOX = r"\boxed"


async def grow(
    node: Node, width: int, sampling: Sampling, max_depth: int, policy: Policy, prm: PRM
) -> list[Node]:
    """The scored children of ``node``: ``width`` of them less duplicates, empty and cut steps.

    A child is finished when the policy stopped, when it states a boxed answer, or at
    ``max_depth``. Without one usable child after three tries the node itself is a dead end, and is
    returned as such. Nothing comes of a node whose request failed for good.
    """
    for attempt in range(TRIES):
        origin = node.redrawn("try", attempt) if attempt else node
        children = await policy.extend(origin, width, sampling)
        if not children:
            return []
        if any(child.finish == "overflow" for child in children):
            return [node.ended("overflow")]
        if kept := usable(children):
            scored = await prm.score([_finish(child, max_depth) for child in kept])
            return usable(scored) or ([node.ended("overflow")] if scored else [])
    return [node.ended("dead_end")]


def _finish(child: Node, max_depth: int) -> Node:
    if child.is_finished:
        return child
    if BOX in child.steps[-1]:
        return child.ended("stop")
    return child.ended("depth") if len(child.steps) >= max_depth else child
