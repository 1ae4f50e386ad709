"""How the voting strategies draw whole solutions: all at once, or until the vote is settled."""

from collections import defaultdict
from collections.abc import Callable, Sequence

from orchestrator.core.ports import PRM, Policy
from orchestrator.core.stopping import is_settled
from orchestrator.core.tree import Node
from orchestrator.strategies.settings import Voted


async def draw(
    voted: Voted,
    root: Node,
    policy: Policy,
    prm: PRM | None,
    weight: Callable[[Node], float],
    drawn: Sequence[Node] = (),
) -> list[Node]:
    """The solutions, with those ``drawn`` before, scored where there is a ``prm``; ``weight`` is
    what each gives its answer."""
    leaves, totals, stop = list(drawn), defaultdict[int, float](float), voted.stop
    batch = leaves
    while True:
        for leaf in batch:
            if leaf.answer is not None:
                totals[leaf.answer] += weight(leaf)
        to_come = voted.n - len(leaves)
        if to_come <= 0 or (
            stop and is_settled(list(totals.values()), to_come, stop.rule, stop.confidence)
        ):
            return leaves
        # a root of its own for each batch, named by none of the solutions' numbers
        origin = root.fork(len(leaves)) if leaves else root
        few = min(stop.batch, to_come) if stop else to_come
        batch = await policy.extend(origin, few, voted.sampling)
        if prm:
            batch = await prm.score(batch)
        if not batch:
            return leaves
        leaves += batch
