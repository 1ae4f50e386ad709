"""How the voting strategies draw whole solutions: all at once, or until the vote is settled."""

from collections import defaultdict
from collections.abc import Callable, Sequence

from orchestrator.core.ports import PRM, Policy
from orchestrator.core.stopping import is_settled
from orchestrator.core.tree import Node
from orchestrator.strategies.settings import Voted


async def draw(
    voted: Voted, root: Node, policy: Policy, prm: PRM | None, drawn: Sequence[Node] = ()
) -> list[Node]:
    """The solutions, with those ``drawn`` before, scored where there is a ``prm``."""
    leaves = list(drawn)
    while not (leaves and is_enough(voted, leaves)):
        to_come = voted.n - len(leaves)
        # a root of its own for each batch, named by none of the solutions' numbers
        origin = root.fork(len(leaves)) if leaves else root
        few = min(voted.stop.batch, to_come) if voted.stop else to_come
        batch = await policy.extend(origin, few, voted.sampling)
        if prm:
            batch = await prm.score(batch)
        if not batch:
            break
        leaves += batch
    return leaves


def is_enough(voted: Voted, leaves: Sequence[Node]) -> bool:
    """Whether there are as many solutions as the strategy draws, or the vote of these is settled
    by its own rule."""
    to_come, stop = voted.n - len(leaves), voted.stop
    if to_come <= 0 or stop is None:
        return to_come <= 0
    totals = tally(leaves, voted.weight)
    return is_settled(totals, to_come, stop.rule, stop.confidence)


def tally(leaves: Sequence[Node], weight: Callable[[Node], float]) -> list[float]:
    """What each answer was given, by its solutions' weights."""
    totals: defaultdict[int, float] = defaultdict(float)
    for leaf in leaves:
        if leaf.answer is not None:
            totals[leaf.answer] += weight(leaf)
    return list(totals.values())
