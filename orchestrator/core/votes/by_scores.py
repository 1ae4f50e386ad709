"""Votes by the PRM's scores: PRM-Max and PRM-Vote (paper §3.1), and two that trust the PRM less."""

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.core.rewards import Reward, value
from orchestrator.core.votes.vote import (
    ROUNDING,
    ByValue,
    Voter,
    check,
    first_of_the_highest,
    unless_usual,
)


@dataclass(frozen=True, slots=True)
class ByScores(ByValue):
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

    def weigh(self, values: Sequence[float], classes: Sequence[int]) -> Sequence[float]:
        return values


@dataclass(frozen=True, slots=True)
class Max(ByScores):
    """PRM-Max: the best scored leaf decides alone, the first of equals."""

    @property
    def name(self) -> str:
        return f"max_{self.reward}"

    def weigh(self, values: Sequence[float], classes: Sequence[int]) -> list[float]:
        best = first_of_the_highest(values)
        return [each * is_best for each, is_best in zip(values, best, strict=True)]


@dataclass(frozen=True, slots=True)
class BestOfMajority(ByScores):
    """PRM-Max among the frequent answers (Best-of-Majority; Di et al. 2025, arXiv 2510.03199). A
    PRM that errs overrates some rare wrong answer, and the more samples there are, the surer it is
    to be among them: unlike PRM-Max, this does not get worse as N grows.

    An answer is frequent with a ``share`` of the scored leaves, which is the paper's threshold, or
    where no other has more.

    Raises ``ConfigError`` unless ``share`` is between 0 and 1.
    """

    share: float = 0.1

    def __post_init__(self) -> None:
        check("share", self.share, 0 <= self.share <= 1, "between 0 and 1")

    @property
    def name(self) -> str:
        return f"best_of_majority_{self.reward}{unless_usual(0.1, share=self.share)}"

    def weigh(self, values: Sequence[float], classes: Sequence[int]) -> list[float]:
        counts = Counter(classes)
        least = min(self.share * len(classes), max(counts.values())) - ROUNDING
        both = zip(values, classes, strict=True)
        return first_of_the_highest([each if counts[a] >= least else -1.0 for each, a in both])


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

    def weigh(self, values: Sequence[float], classes: Sequence[int]) -> list[float]:
        n, ranked = len(values), sorted(values)

        def all_among_lowest(r: int) -> float:
            return float((r / n) ** math.sqrt(n))

        weights = []
        for each in values:
            below, at_most = bisect_left(ranked, each), bisect_right(ranked, each)
            chance = all_among_lowest(at_most) - all_among_lowest(below)
            weights.append(n * chance / (at_most - below))
        return weights
