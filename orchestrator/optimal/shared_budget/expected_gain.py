"""What going on with a problem is expected to gain, from all that its solutions show so far. Pure.

One question orders the problems of a pool: how likely does the next step turn a wrong answer into a
right one, for each unit it costs? A problem whose vote is settled has little to gain, and so has a
hopeless one, whose answers are all different and all scored low. Both are passed over, and their
share goes to the others: a bandit over problems, as in Zuo & Zhu 2025 (arXiv 2506.12721), who
estimate on the fly how hard each is. Here a profile has measured what comes of more samples, or of
a tree search, after such evidence: two logistic regressions for each way to go on (``Change``).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import NamedTuple

from orchestrator.core.stopping import lead
from orchestrator.core.voting import Majority, Weighted, elect
from orchestrator.optimal.difficulty.evidence import Pilot
from orchestrator.optimal.difficulty.predictor import Logistic

FEATURES = ("doubt", "disagreement", "drawn", "score", "best")
"""What ``standing`` shows, in this order; the last two need PRM scores."""

HOPE, AHEAD = "hope", "ahead"
"""Two more features: the logarithm of the pass@1 that the pilots predict, and of how many times the
samples drawn so far there will be."""

FLOOR = 1e-4
"""Probabilities below count as this: their logarithms say no more."""

LEAST_GAIN = 0.001
"""A step is worth it if it is expected to mend one problem in a thousand; fewer cannot be measured
on some hundreds of problems, and where no step does, the problem is settled or hopeless."""


def standing(drawn: Sequence[Pilot], *, is_scored: bool) -> dict[str, float]:
    """How the vote over the solutions ``drawn`` stands, as logarithms, so that the odds of a change
    are products of powers of these.

    - ``doubt``: the posterior probability that the leading answer is not the most common one
      (``core.stopping.lead``); answers weigh what the PRM scores them, if ``is_scored``.
    - ``disagreement``: the same, one vote for each solution.
    - ``drawn``: the number of solutions.
    - ``score``, ``best``: the mean and the highest PRM-Last of those that have scores.
    """
    answers = [each.answer for each in drawn]
    found = {
        "doubt": _doubt(Weighted("last") if is_scored else Majority(), drawn, answers),
        "disagreement": _doubt(Majority(), drawn, answers),
        "drawn": math.log(len(drawn)),
    }
    last = [each.scores[-1] for each in drawn if each.scores]
    return found | ({"score": log(fmean(last)), "best": log(max(last))} if last else {})


def _doubt(
    vote: Majority | Weighted, drawn: Sequence[Pilot], answers: Sequence[int | None]
) -> float:
    return log(1.0 - lead(list(elect(vote, drawn, answers).totals.values())))


def log(probability: float) -> float:
    return math.log(max(probability, FLOOR))


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """How likely one way to go on ``mends`` a wrong answer, and how likely it ``spoils`` a right
    one; both out of all problems with such evidence."""

    mends: Logistic
    spoils: Logistic

    def gain(self, shown: Mapping[str, float]) -> float:
        """The expected gain in accuracy, -1..1."""
        return self.mends(shown) - self.spoils(shown)


class Step(NamedTuple):
    """A way to go on: more samples (``search`` is None), or the tree search of that number; what it
    is expected to gain in accuracy and to cost, in whatever unit the others do."""

    search: int | None
    gain: float
    cost: float

    @property
    def rate(self) -> float:
        """Gain a unit."""
        return self.gain / self.cost


def sizes(first: int, most: int) -> list[int]:
    """Numbers of samples to look ahead to: 1, 2, 3, 4, 6, 8, 12, 16 … times ``first``, and
    ``most``."""
    found, size = [first], 2 * first
    while size < most:
        found += [each for each in (size, size * 3 // 2) if each < most]
        size *= 2
    return [*found, most] if most > first else found


def more_samples(
    change: Change, shown: Mapping[str, float], drawn: int, ahead: Iterable[int], a_sample: float
) -> list[Step]:
    """Steps from ``drawn`` samples to each larger number ``ahead``.

    One batch rarely turns a vote that several would, so the next one is worth what it is at the
    best rate at which a longer stretch gains."""
    return [
        Step(
            None,
            change.gain({**shown, AHEAD: math.log(most / drawn)}),
            (most - drawn) * a_sample,
        )
        for most in ahead
        if most > drawn
    ]


def best(steps: Iterable[Step]) -> Step | None:
    """The step that gains most for what it costs, of those worth it. None where the problem is
    settled, or hopeless."""
    worth = (step for step in steps if step.gain >= LEAST_GAIN)
    return max(worth, key=lambda step: step.rate, default=None)
