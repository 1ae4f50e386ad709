"""From leaves to one answer: majority vote, PRM-Max and PRM-Vote (paper §3.1).

A vote is a value that gives each voter a weight, and one election counts them for everyone: runs,
resampling and profiles. Votes are cast for classes of equivalent answers: ``classes[i]`` is the
class of leaf ``i``, None where its answer could not be extracted. Such a leaf never votes.

Weights are 0 or more, so no class loses by a member. Where a vote goes by scores, a leaf that was
never scored abstains; where none of the voters was scored, the majority decides. Ties go to the
class seen first, in the order in which the search returns its leaves. Sums are equal when they
differ by rounding alone: an order of the same leaves never decides.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from orchestrator.core.rewards import REWARDS, Reward, value

VoteName = str
"""``majority``, or ``max_REWARD`` or ``weighted_REWARD`` with a reward of ``REWARDS``."""

VOTES: tuple[VoteName, ...] = (
    "majority",
    *(f"{kind}_{reward}" for kind in ("max", "weighted") for reward in REWARDS),
)

ROUNDING = 1e-9
"""Two sums of weights tie when they are no further apart than this, relative to the larger."""


class Leaf(Protocol):
    """What an election knows of a solution: its PRM scores, one a step, none where unscored."""

    @property
    def scores(self) -> Sequence[float]: ...


class Vote(Protocol):
    """How much each voter's ballot weighs."""

    def weights(self, voters: Sequence[Leaf]) -> list[float]:
        """A weight of 0 or more for each; those of a vote by scores all have scores."""
        ...


@dataclass(frozen=True, slots=True)
class Majority:
    """One leaf, one vote."""

    def weights(self, voters: Sequence[Leaf]) -> list[float]:
        return [1.0] * len(voters)


@dataclass(frozen=True, slots=True)
class Weighted:
    """PRM-Vote: every leaf weighs what it is worth."""

    reward: Reward

    def weights(self, voters: Sequence[Leaf]) -> list[float]:
        return [value(leaf.scores, self.reward) for leaf in voters]


@dataclass(frozen=True, slots=True)
class Max:
    """PRM-Max: the best leaf decides alone, the first of equals."""

    reward: Reward

    def weights(self, voters: Sequence[Leaf]) -> list[float]:
        values = [value(leaf.scores, self.reward) for leaf in voters]
        best = values.index(max(values))
        return [each if i == best else 0.0 for i, each in enumerate(values)]


class Ballot(NamedTuple):
    """Leaf number ``leaf`` gives the class ``answer`` so much ``weight``."""

    leaf: int
    answer: int
    weight: float


def elect(vote: VoteName, leaves: Sequence[Leaf], classes: Sequence[int | None]) -> int | None:
    """The index of the leaf that answers under ``vote``: the best one of the class with the largest
    total. None where no leaf has an answer."""
    cast = ballots(vote, leaves, classes)
    given = totals(cast)
    if not given:
        return None
    most = max(given.values())
    winner = next(answer for answer, total in given.items() if ties(total, most))
    return max((each for each in cast if each.answer == winner), key=_weight_then_first).leaf


def decided_by(vote: VoteName, leaves: Sequence[Leaf], classes: Sequence[int | None]) -> VoteName:
    """The vote that decides an election under ``vote``: the majority where no voter is scored."""
    voters = [leaf for leaf, answer in zip(leaves, classes, strict=True) if answer is not None]
    return vote if not voters or any(leaf.scores for leaf in voters) else "majority"


def ballots(vote: VoteName, leaves: Sequence[Leaf], classes: Sequence[int | None]) -> list[Ballot]:
    """All ballots of an election, in the order of the leaves."""
    by = decided_by(vote, leaves, classes)
    voters = [
        (i, answer)
        for i, (leaf, answer) in enumerate(zip(leaves, classes, strict=True))
        if answer is not None and (leaf.scores or not needs_prm(by))
    ]
    if not voters:
        return []
    weights = named(by).weights([leaves[i] for i, _ in voters])
    return [Ballot(i, answer, weight) for (i, answer), weight in zip(voters, weights, strict=True)]


def totals(cast: Sequence[Ballot]) -> dict[int, float]:
    """What each class was given, the one seen first at the beginning."""
    given: dict[int, list[float]] = {}
    for ballot in cast:
        given.setdefault(ballot.answer, []).append(ballot.weight)
    return {answer: math.fsum(weights) for answer, weights in given.items()}


def ties(total: float, most: float) -> bool:
    """Whether ``total`` equals the largest, but for rounding."""
    return most - total <= ROUNDING * most


def named(vote: VoteName) -> Vote:
    """The vote of a name. Raises ``KeyError`` where there is none."""
    return _BY_NAME[vote]


def split_vote(vote: VoteName) -> tuple[str, Reward]:
    """``"weighted_min"`` as ``("weighted", "min")``."""
    kind, _, reward = vote.partition("_")
    return kind, reward  # type: ignore[return-value]


def needs_prm(vote: VoteName) -> bool:
    return vote != "majority"


def _weight_then_first(ballot: Ballot) -> tuple[float, int]:
    return ballot.weight, -ballot.leaf


_BY_NAME: dict[VoteName, Vote] = {
    "majority": Majority(),
    **{f"max_{reward}": Max(reward) for reward in REWARDS},
    **{f"weighted_{reward}": Weighted(reward) for reward in REWARDS},
}
