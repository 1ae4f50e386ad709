"""From leaves to one answer: majority vote, PRM-Max and PRM-Vote (paper §3.1).

A vote is a value that gives each voter a weight, and one election counts them for everyone: runs,
early stopping, resampling and profiles. Votes are cast for classes of equivalent answers:
``classes[i]`` is the class of leaf ``i``, None where its answer could not be extracted. Such a leaf
never votes.

Weights are 0 or more, so no class loses by a member. A leaf whose weight is None abstains, as one
without scores does where a vote goes by scores; where everyone abstains, the majority decides.
Ties go to the class seen first, in the order in which the search returns its leaves. Sums are equal
when they differ by rounding alone: an order of the same leaves never decides.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, NamedTuple, Protocol

from orchestrator.core.rewards import REWARDS, Reward, value

ROUNDING = 1e-9
"""Two sums of weights tie when they are no further apart than this, relative to the larger."""


class Voter(Protocol):
    """What a vote knows of a solution: its PRM scores, one a step, none where unscored."""

    @property
    def scores(self) -> Sequence[float]: ...


class Vote(Protocol):
    """How much each voter's ballot weighs."""

    @property
    def name(self) -> str:
        """Names its verdict in records; for example ``weighted_min``."""
        ...

    def weights(self, voters: Sequence[Voter]) -> Sequence[float | None]:
        """A weight of 0 or more for each voter, None where it abstains."""
        ...


@dataclass(frozen=True, slots=True)
class Majority:
    """One leaf, one vote."""

    name: ClassVar[str] = "majority"

    def weights(self, voters: Sequence[Voter]) -> list[float | None]:
        return [1.0] * len(voters)


@dataclass(frozen=True, slots=True)
class Weighted:
    """PRM-Vote: every scored leaf weighs what it is worth."""

    reward: Reward = "last"

    @property
    def name(self) -> str:
        return f"weighted_{self.reward}"

    def weights(self, voters: Sequence[Voter]) -> list[float | None]:
        return [value(voter.scores, self.reward) if voter.scores else None for voter in voters]


@dataclass(frozen=True, slots=True)
class Max:
    """PRM-Max: the best scored leaf decides alone, the first of equals."""

    reward: Reward = "last"

    @property
    def name(self) -> str:
        return f"max_{self.reward}"

    def weights(self, voters: Sequence[Voter]) -> list[float | None]:
        values = Weighted(self.reward).weights(voters)
        scored = [each for each in values if each is not None]
        best = values.index(max(scored)) if scored else None
        return [
            None if each is None else each if i == best else 0.0 for i, each in enumerate(values)
        ]


_NAMED: tuple[Vote, ...] = (Majority(), *map(Max, REWARDS), *map(Weighted, REWARDS))

VOTES: Mapping[str, Vote] = MappingProxyType({vote.name: vote for vote in _NAMED})
"""The votes that configs, records and profiles name."""


class Ballot(NamedTuple):
    """Leaf number ``leaf`` gives the class ``answer`` so much ``weight``."""

    leaf: int
    answer: int
    weight: float


@dataclass(frozen=True, slots=True)
class Election:
    """The ballots of an election, in the order of the leaves, cast ``by`` the vote that decides."""

    by: Vote
    ballots: Sequence[Ballot]

    @property
    def totals(self) -> dict[int, float]:
        """What each class was given, the one seen first at the beginning."""
        given: dict[int, list[float]] = {}
        for ballot in self.ballots:
            given.setdefault(ballot.answer, []).append(ballot.weight)
        return {answer: math.fsum(weights) for answer, weights in given.items()}

    @property
    def winner(self) -> int | None:
        """The index of the leaf that answers: the best one of the class with the largest total.
        None where no leaf has an answer."""
        given = self.totals
        if not given:
            return None
        most = max(given.values())
        winner = next(answer for answer, total in given.items() if ties(total, most))
        mine = (each for each in self.ballots if each.answer == winner)
        return max(mine, key=_weight_then_first).leaf


def elect(vote: Vote, leaves: Sequence[Voter], classes: Sequence[int | None]) -> Election:
    """Hold an election of ``leaves`` under ``vote``; under the majority where all voters abstain.

    Raises ``ValueError`` where a weight is below 0 or no finite number.
    """
    pairs = enumerate(zip(leaves, classes, strict=True))
    voters = [(i, leaf, answer) for i, (leaf, answer) in pairs if answer is not None]
    for by in (vote, Majority()):
        weights = by.weights([leaf for _, leaf, _ in voters])
        ballots = [
            Ballot(i, answer, weight)
            for (i, _, answer), weight in zip(voters, weights, strict=True)
            if weight is not None
        ]
        for ballot in ballots:
            if not 0 <= ballot.weight < math.inf:
                raise ValueError(f"{by.name} gives a leaf the weight {ballot.weight}")
        if ballots:
            return Election(by, ballots)
    return Election(vote, [])


def ties(total: float, most: float) -> bool:
    """Whether ``total`` equals the largest, but for rounding."""
    return most - total <= ROUNDING * most


def _weight_then_first(ballot: Ballot) -> tuple[float, int]:
    return ballot.weight, -ballot.leaf
