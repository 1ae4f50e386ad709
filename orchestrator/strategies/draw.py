"""How the voting strategies draw whole solutions: all at once, or until the vote is settled."""

from collections import defaultdict
from collections.abc import Callable

from orchestrator.core.ports import PRM, Policy
from orchestrator.core.stopping import is_settled
from orchestrator.core.tree import Node
from orchestrator.strategies.settings import Voted


async def draw(
    voted: Voted, root: Node, policy: Policy, prm: PRM | None, weight: Callable[[Node], float]
) -> list[Node]:
    """The solutions, scored where there is a ``prm``; ``weight`` is what each gives its answer."""
    if voted.stop is None:
        drawn = await policy.extend(root, voted.n, voted.sampling)
        return await prm.score(drawn) if prm else drawn
    leaves: list[Node] = []
    totals: dict[int, float] = defaultdict(float)
    batches = 0
    while len(leaves) < voted.n:
        origin = root if not batches else root.fork(batches)
        few = min(voted.stop.batch, voted.n - len(leaves))
        batch = await policy.extend(origin, few, voted.sampling)
        if prm:
            batch = await prm.score(batch)
        if not batch:
            break
        leaves += batch
        batches += 1
        for leaf in batch:
            if leaf.answer is not None:
                totals[leaf.answer] += weight(leaf)
        if is_settled(
            list(totals.values()), voted.n - len(leaves), voted.stop.rule, voted.stop.confidence
        ):
            break
    return leaves
