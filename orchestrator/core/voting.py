"""From leaves to one answer: majority vote, PRM-Max and PRM-Vote (paper §3.1).

Votes are cast for classes of equivalent answers: ``classes[i]`` is the class of leaf ``i``, None
where its answer could not be extracted. Such a leaf never votes.
"""

from collections.abc import Sequence

from orchestrator.core.rewards import REWARDS, Reward, value
from orchestrator.core.tree import Node

Vote = str
"""``majority``, or ``max_REWARD`` or ``weighted_REWARD`` with a reward of ``REWARDS``."""

VOTES: tuple[Vote, ...] = (
    "majority",
    *(f"{kind}_{reward}" for kind in ("max", "weighted") for reward in REWARDS),
)


def majority(classes: Sequence[int | None]) -> int | None:
    """The leaf whose class has the most members; ties go to the class seen first."""
    return weighted(classes, [1.0] * len(classes))


def highest(classes: Sequence[int | None], values: Sequence[float]) -> int | None:
    """The leaf of the highest value that has an answer (PRM-Max)."""
    voters = [i for i, voted in enumerate(classes) if voted is not None]
    return max(voters, key=lambda i: (values[i], -i), default=None)


def weighted(classes: Sequence[int | None], values: Sequence[float]) -> int | None:
    """A leaf of the class with the largest sum of values (PRM-Vote): its best member."""
    totals: dict[int, float] = {}
    for voted, weight in zip(classes, values, strict=True):
        if voted is not None:
            totals[voted] = totals.get(voted, 0.0) + weight
    if not totals:
        return None
    winner = max(totals, key=lambda voted: totals[voted])
    return highest([voted if voted == winner else None for voted in classes], values)


def elect(vote: Vote, leaves: Sequence[Node], classes: Sequence[int | None]) -> int | None:
    """The index of the leaf that answers under ``vote``, or None when no leaf has an answer."""
    if vote == "majority":
        return majority(classes)
    kind, reward = split_vote(vote)
    values = [value(leaf.scores, reward) for leaf in leaves]
    return highest(classes, values) if kind == "max" else weighted(classes, values)


def split_vote(vote: Vote) -> tuple[str, Reward]:
    """``"weighted_min"`` as ``("weighted", "min")``."""
    kind, _, reward = vote.partition("_")
    return kind, reward  # type: ignore[return-value]


def needs_prm(vote: Vote) -> bool:
    return vote != "majority"
