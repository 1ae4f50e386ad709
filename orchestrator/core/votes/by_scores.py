"""Votes by the PRM's scores: PRM-Max and PRM-Vote (paper §3.1), and two that trust the PRM less."""

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.core.rewards import Reward, value
from orchestrator.core.votes.vote import (
    ROUNDING,
    Voter,
    among,
    check,
    first_of_the_highest,
    unless_usual,
)


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
        check("share", self.share, 0 <= self.share <= 1, "between 0 and 1")

    @property
    def name(self) -> str:
        return f"best_of_majority_{self.reward}{unless_usual(0.1, share=self.share)}"

    def weights(self, voters: Sequence[Voter], classes: Sequence[int]) -> list[float | None]:
        values = self.values(voters)
        scored = [(each, a) for each, a in zip(values, classes, strict=True) if each is not None]
        counts = Counter(answer for _, answer in scored)
        least = min(self.share * len(scored), max(counts.values(), default=0)) - ROUNDING
        frequent = [each if counts[answer] >= least else -1.0 for each, answer in scored]
        return among(values, lambda _: first_of_the_highest(frequent))


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
        return among(self.values(voters), _chances_of_being_best)


def _chances_of_being_best(values: Sequence[float]) -> list[float]:
    """Of √n drawn with replacement, times n."""
    n, ranked = len(values), sorted(values)

    def all_drawnamong(lowest: int) -> float:
        return float((lowest / n) ** math.sqrt(n))

    found = []
    for each in values:
        below, at_most = bisect_left(ranked, each), bisect_right(ranked, each)
        chance = all_drawnamong(at_most) - all_drawnamong(below)
        found.append(n * chance / (at_most - below))
    return found
