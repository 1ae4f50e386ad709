"""Does a score of 0.9 mean that nine steps of ten are right?

Steps before the first error are right and that step is wrong; what follows builds on the error, is
neither, and is left out. Up to there a step is right exactly when the solution so far is, so the
labels fit PRMs that judge a step by itself and those that report the running minimum.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.evaluation.estimates import Estimate
from orchestrator.evaluation.samples import ScoredSolution
from orchestrator.statistics import Z95, wilson

BINS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreBin:
    """The steps scored from ``start`` to ``end``: how many, their mean score and the share that is
    right, with its 95 % interval."""

    start: float
    end: float
    steps: int
    mean_score: float
    right: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreCalibration:
    """The calibration over all steps with a known label.

    ``ece`` is the expected calibration error (Guo et al. 2017) over equally wide bins, ``brier``
    the mean squared distance of score and label (Brier 1950). ``bias`` is the mean score less the
    share of right steps, positive where the PRM is overconfident; its interval is clustered by
    solution. ``bins`` has no empty ones.
    """

    steps: int
    mean_score: float
    right: float
    ece: float
    brier: float
    bias: Estimate
    bins: tuple[ScoreBin, ...]


def calibration(judged: Sequence[ScoredSolution], bins: int = BINS) -> ScoreCalibration:
    """Measure calibration. Raises ``ValueError`` without any sample."""
    if not judged:
        raise ValueError("calibration needs at least one sample")
    known = [one.sample.known_steps for one in judged]
    scores = np.array([s for one in judged for s in one.scores[: one.sample.known_steps]])
    labels = np.array(
        [i != one.sample.label for one in judged for i in range(one.sample.known_steps)]
    )
    place = np.minimum((scores * bins).astype(int), bins - 1)
    filled = []
    for number in range(bins):
        inside = place == number
        count = int(inside.sum())
        if not count:
            continue
        right = int(labels[inside].sum())
        low, high = wilson(right, count)
        filled.append(
            ScoreBin(
                start=number / bins,
                end=(number + 1) / bins,
                steps=count,
                mean_score=float(scores[inside].mean()),
                right=right / count,
                low=low,
                high=high,
            )
        )
    return ScoreCalibration(
        steps=len(scores),
        mean_score=float(scores.mean()),
        right=float(labels.mean()),
        ece=sum(bin.steps * abs(bin.mean_score - bin.right) for bin in filled) / len(scores),
        brier=float(((scores - labels) ** 2).mean()),
        bias=_bias(scores - labels, known),
        bins=tuple(filled),
    )


def _bias(differences: np.ndarray, steps: Sequence[int]) -> Estimate:
    """The mean difference, a ratio of two sums over solutions (Cochran 1977, §6.3)."""
    value = float(differences.mean())
    sums = np.add.reduceat(differences, np.cumsum([0, *steps[:-1]]))
    residuals = sums - value * np.array(steps)
    half = Z95 * math.sqrt(float((residuals**2).sum())) / len(differences)
    return Estimate(value=value, low=value - half, high=value + half, samples=len(steps))
