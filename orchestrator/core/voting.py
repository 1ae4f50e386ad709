"""From leaves to one answer: the votes of the paper (§3.1), others that trust the PRM less, and
others by how sure the policy was.

A vote is a value that gives each voter a weight, and one election counts them for everyone: runs,
early stopping, resampling and profiles. Votes are cast for classes of equivalent answers:
``classes[i]`` is the class of leaf ``i``, None where its answer could not be extracted. Such a leaf
never votes.

Weights are 0 or more. A leaf whose weight is None abstains, as one without scores does where a vote
goes by scores, and one without log-probabilities where it goes by confidence; where everyone
abstains, the majority decides. Ties go to the class seen first, in the order in which the search
returns its leaves. Sums are equal when they differ by rounding alone: an order of the same leaves
never decides.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from orchestrator.core.confidence import MEASURES
from orchestrator.core.rewards import REWARDS
from orchestrator.core.votes.by_confidence import (
    Borda,
    ByConfidence,
    Confident,
    MostConfident,
    TopConfident,
)
from orchestrator.core.votes.by_scores import BestOfMajority, ByScores, Max, Pooled, Weighted
from orchestrator.core.votes.vote import ROUNDING, ByValue, Majority, Vote, Voter

__all__ = [
    "BY_CONFIDENCE",
    "BY_SCORES",
    "ONE_DECIDES",
    "ROUNDING",
    "VOTES",
    "Ballot",
    "BestOfMajority",
    "Borda",
    "ByConfidence",
    "ByScores",
    "ByValue",
    "Confident",
    "Election",
    "Majority",
    "Max",
    "MostConfident",
    "Pooled",
    "TopConfident",
    "Vote",
    "Voter",
    "Weighted",
    "elect",
    "most_to_change",
    "ties",
]

BY_SCORES: tuple[Vote, ...] = tuple(
    kind(reward) for kind in (Max, Weighted, BestOfMajority, Pooled) for reward in REWARDS
)

BY_CONFIDENCE: tuple[Vote, ...] = tuple(
    kind(measure)
    for kind in (Confident, MostConfident, TopConfident, Borda)
    for measure in MEASURES
)

ONE_DECIDES = (Max, BestOfMajority, MostConfident)
"""Votes in which a single leaf decides: their totals never tell how sure the vote is."""

VOTES: Mapping[str, Vote] = MappingProxyType(
    {vote.name: vote for vote in (Majority(), *BY_SCORES, *BY_CONFIDENCE)}
)
"""The votes that configs, records and profiles name."""


def most_to_change(vote: Vote, to_come: int) -> float:
    """By how much ``to_come`` more leaves can change the difference between two answers: each by 1
    at most where a leaf weighs the same whoever else votes, otherwise without a bound."""
    return to_come if isinstance(vote, Majority | Weighted) else math.inf


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
        weights = by.weights([leaf for _, leaf, _ in voters], [answer for *_, answer in voters])
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
