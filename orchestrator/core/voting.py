"""From leaves to one answer: the votes of the paper (§3.1), and others that trust the PRM less.

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
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, NamedTuple, Protocol

from orchestrator.core.rewards import REWARDS, Reward, value
from orchestrator.errors import ConfigError

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

    def weights(self, voters: Sequence[Voter], classes: Sequence[int]) -> Sequence[float | None]:
        """A weight of 0 or more for each voter, None where it abstains. ``classes[i]`` is the class
        of the ``i``-th voter's answer: equivalent answers have the same number."""
        ...


@dataclass(frozen=True, slots=True)
class Majority:
    """One leaf, one vote."""

    name: ClassVar[str] = "majority"

    def weights(self, voters: Sequence[Voter], classes: Sequence[int]) -> list[float | None]:
        return [1.0] * len(voters)


@dataclass(frozen=True, slots=True)
class ByScores:
    """Votes that go by what the PRM's scores make a leaf worth."""

    reward: Reward = "last"

    def values(self, voters: Sequence[Voter]) -> list[float | None]:
        """What each leaf is worth by itself, None where it is not scored."""
        return [value(each.scores, self.reward) if each.scores else None for each in voters]


@dataclass(frozen=True, slots=True)
class Weighted(ByScores):
    """PRM-Vote: every scored leaf weighs what it is worth."""

    @property
    def name(self) -> str:
        return f"weighted_{self.reward}"

    def weights(self, voters: Sequence[Voter], classes: Sequence[int]) -> list[float | None]:
        return self.values(voters)


@dataclass(frozen=True, slots=True)
class Max(ByScores):
    """PRM-Max: the best scored leaf decides alone, the first of equals."""

    @property
    def name(self) -> str:
        return f"max_{self.reward}"

    def weights(self, voters: Sequence[Voter], classes: Sequence[int]) -> list[float | None]:
        values = self.values(voters)
        scored = [each for each in values if each is not None]
        best = values.index(max(scored)) if scored else None
        return [
            None if each is None else each if i == best else 0.0 for i, each in enumerate(values)
        ]


@dataclass(frozen=True, slots=True)
class BestOfMajority(ByScores):
    """PRM-Max among the frequent answers (Best-of-Majority; Di et al. 2025, arXiv 2510.03199). A
    PRM that errs overrates some rare wrong answer, and the more samples there are, the surer it is
    to be among them: unlike PRM-Max, this does not get worse as N grows.

    An answer is frequent with a ``share`` of the scored leaves, which is the paper's threshold, or
    where no other has more.

    Raises ``ConfigError`` where ``share`` is none.
    """

    share: float = 0.1

    def __post_init__(self) -> None:
        _check("share", self.share, 0 <= self.share <= 1, "between 0 and 1")

    @property
    def name(self) -> str:
        return f"best_of_majority_{self.reward}{_unless(0.1, share=self.share)}"

    def weights(self, voters: Sequence[Voter], classes: Sequence[int]) -> list[float | None]:
        values = self.values(voters)
        scored = [(each, a) for each, a in zip(values, classes, strict=True) if each is not None]
        counts = Counter(answer for _, answer in scored)
        least = min(self.share * len(scored), max(counts.values(), default=0)) - ROUNDING
        frequent = [each if counts[answer] >= least else -1.0 for each, answer in scored]
        return _among(values, lambda _: _first_of_the_highest(frequent))


@dataclass(frozen=True, slots=True)
class Pooled(ByScores):
    """The answer that best-of-m most often returns, of m = √n of the n scored leaves drawn at
    random (Majority-of-the-Bests; Rakhsha et al. 2025, arXiv 2511.18630): each leaf weighs its
    chance of being the best of the draw, and an answer pools those of its leaves.

    A leaf that is at least as good as r of the n, itself among them, is the best with chance
    (r/n)^m - ((r - 1)/n)^m, so the draws (with replacement) need no simulation; equals share
    theirs. Weights are these chances times n. Only the order of the scores counts, however badly
    the PRM is calibrated, and if it is random, no answer gains by it on average. m = 1 would be the
    majority and m → ∞ PRM-Max; with √n, m grows and m/n vanishes, as a bootstrap of extremes
    requires (Bickel et al. 1997). With labelled problems to calibrate it on, the best weight of a
    leaf is its log-odds of being right (Kuang et al. 2025, arXiv 2510.13918).
    """

    @property
    def name(self) -> str:
        return f"pooled_{self.reward}"

    def weights(self, voters: Sequence[Voter], classes: Sequence[int]) -> list[float | None]:
        return _among(self.values(voters), _chances_of_being_best)


def _among(
    values: Sequence[float | None], weigh: Callable[[list[float]], Sequence[float]]
) -> list[float | None]:
    """What ``weigh`` makes of the values there are; whoever has none abstains."""
    weights = iter(weigh([each for each in values if each is not None]))
    return [None if each is None else next(weights) for each in values]


def _first_of_the_highest(values: Sequence[float]) -> list[float]:
    """1 for it and 0 for the others."""
    best = values.index(max(values)) if values else None
    return [float(i == best) for i in range(len(values))]


def _chances_of_being_best(values: Sequence[float]) -> list[float]:
    """Of √n drawn with replacement, times n."""
    n, ranked = len(values), sorted(values)

    def all_drawn_among(lowest: int) -> float:
        return float((lowest / n) ** math.sqrt(n))

    found = []
    for each in values:
        below, at_most = bisect_left(ranked, each), bisect_right(ranked, each)
        chance = all_drawn_among(at_most) - all_drawn_among(below)
        found.append(n * chance / (at_most - below))
    return found


def _unless(usual: float, **setting: float) -> str:
    """How a name tells a setting: not at all where it is the usual one."""
    ((key, each),) = setting.items()
    return "" if each == usual else f"_{key}{each:g}"


def _check(name: str, setting: float, is_fine: bool, wanted: str) -> None:
    if not is_fine:
        raise ConfigError(f"{name} = {setting:g} must lie {wanted}", (name,))


BY_SCORES: tuple[Vote, ...] = tuple(
    kind(reward) for kind in (Max, Weighted, BestOfMajority, Pooled) for reward in REWARDS
)

VOTES: Mapping[str, Vote] = MappingProxyType({vote.name: vote for vote in (Majority(), *BY_SCORES)})
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
