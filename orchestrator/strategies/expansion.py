"""How the tree searches expand one node."""

from collections.abc import Callable, Sequence

from orchestrator.core.expansion_rules import TURNED_DOWN, ExpansionRules
from orchestrator.core.node import Finish, Node
from orchestrator.core.ports import PRM, Models, Sampling
from orchestrator.core.selection import everything, usable


async def expand(
    node: Node, width: int, models: Models, sampling: Sampling, rules: ExpansionRules
) -> list[Node]:
    """The scored children of ``node``: ``width`` of them less duplicates and cut steps.

    A child is finished where the policy ended the solution, where it states the final answer, or at
    ``rules.max_depth``; ``rules`` also say what becomes of samples that are no whole step.
    A node that is finished comes back by itself, and so does one that cannot be expanded: as a
    dead end, as one beyond the context, or for what its prompt was turned down. Nothing comes of a
    node whose request failed for good.
    """
    if node.is_finished:
        return [node]
    tries = rules.tries if node.steps else rules.root_tries
    for attempt in range(tries):
        origin = node.redrawn("try", attempt) if attempt else node
        samples = await models.policy.extend(origin, width, sampling)
        if not samples:
            return []
        if end := _turned_down(node, samples):
            return [node.ended(end)]
        is_last_resort = not node.steps and attempt == tries - 1
        if kept := (everything if is_last_resort else usable)(samples, rules):
            children = [_finish(child, models.is_complete, rules.max_depth) for child in kept]
            return await _score(node, children, models.prm)
    return [node.ended("dead_end")]


def _turned_down(node: Node, samples: Sequence[Node]) -> Finish | None:
    """Why the prompt was not answered: beyond the context, or filtered or refused as a whole."""
    ends = [sample.finish for sample in samples if len(sample.steps) == len(node.steps)]
    if "overflow" in ends:
        return "overflow"
    return ends[0] if len(ends) == len(samples) else None


async def _score(node: Node, children: Sequence[Node], prm: PRM) -> list[Node]:
    """``children`` with their scores: 0.0, unseen by the PRM, for a step without text and for every
    step after one."""
    goes_on_from_blank = any(map(_is_blank, node.steps))
    unseen = {
        child.path: child.scored((*child.scores, 0.0))
        for child in children
        if goes_on_from_blank or _is_blank(child.steps[-1])
    }
    shown = [child for child in children if child.path not in unseen]
    scored = await prm.score(shown) if shown else []
    if shown and not scored:
        return []
    found = unseen | {child.path: child for child in scored if child.finish not in TURNED_DOWN}
    kept = [found[child.path] for child in children if child.path in found]
    return kept or [node.ended(scored[0].finish or "overflow")]


def _finish(child: Node, is_complete: Callable[[str], bool], max_depth: int) -> Node:
    step = child.steps[-1]
    if child.finish == "stop" and _is_blank(step):
        return child.ended("empty")
    if child.is_finished:
        return child
    if is_complete(step):
        return child.ended("stop")
    return child.ended("depth") if len(child.steps) >= max_depth else child


def _is_blank(step: str) -> bool:
    return not step or step.isspace()
