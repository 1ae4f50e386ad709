"""ProcessBench's measure (Zheng et al. 2024, §3): is the first wrong step found, exactly?

The prediction is the first step whose score lies below a threshold, or none. A sample is therefore
predicted right at all thresholds of one interval, its ``window``, which makes the measure a step
function of the threshold that need not be searched on a grid. The running minimum of the scores
crosses a threshold where the scores first do, so PRMs that report it are measured the same.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from orchestrator.core.node import derive_seed
from orchestrator.evaluation.estimates import Estimate, share
from orchestrator.evaluation.samples import ALL_RIGHT, ScoredSolution
from orchestrator.statistics import RESAMPLES

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstErrors:
    """How well the first error is found at ``thresholds``: one, or one for each half.

    ``wrong`` is the share of erroneous samples whose first wrong step is predicted, ``right`` the
    share of samples without an error where none is predicted, ``f1`` their harmonic mean. Each is
    None where there are no such samples.
    """

    thresholds: tuple[float, ...]
    wrong: Estimate | None
    right: Estimate | None
    f1: Estimate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdCurve:
    """The measure as a function of the threshold; shares in 0..1, None without such samples."""

    thresholds: tuple[float, ...]
    wrong: tuple[float, ...] | None
    right: tuple[float, ...] | None
    f1: tuple[float, ...] | None


def first_error(scores: Sequence[float], threshold: float) -> int:
    """The first step whose score is below ``threshold``; ``ALL_RIGHT`` without one."""
    return next((i for i, score in enumerate(scores) if score < threshold), ALL_RIGHT)


def window(judged: ScoredSolution) -> tuple[float, float]:
    """``(low, high)``: the sample is predicted right where ``low < threshold <= high``."""
    scores, label = judged.scores, judged.sample.label
    if judged.sample.is_right:
        return -math.inf, min(scores)
    return scores[label], min(scores[:label], default=math.inf)


@dataclass(frozen=True, slots=True)
class _Class:
    """The windows of all samples with an error, or of all without, as two sorted arrays."""

    low: Floats
    high: Floats
    samples: int

    @classmethod
    def of(cls, judged: Sequence[ScoredSolution]) -> Self:
        """Samples whose window is empty count, but are in neither array."""
        windows = [(low, high) for low, high in map(window, judged) if low < high]
        bounds = np.array(windows, dtype=np.float64).reshape(-1, 2)
        return cls(np.sort(bounds[:, 0]), np.sort(bounds[:, 1]), len(judged))

    def hits(self, thresholds: Floats) -> NDArray[np.intp]:
        """How many samples are predicted right at each threshold."""
        return np.searchsorted(self.low, thresholds) - np.searchsorted(self.high, thresholds)

    def shares(self, thresholds: Floats) -> Floats:
        return self.hits(thresholds) / self.samples


def at_threshold(judged: Sequence[ScoredSolution], threshold: float) -> FirstErrors:
    """The measure as ProcessBench defines it."""
    return _measured([(judged, threshold)])


def cross_fitted(judged: Sequence[ScoredSolution]) -> FirstErrors | None:
    """The measure at the best threshold, chosen on one half and measured on the other, both ways.

    All solutions of a problem are in the same half, by a hash of its text. None where a half lacks
    samples with an error, or without.
    """
    halves: tuple[list[ScoredSolution], list[ScoredSolution]] = ([], [])
    for one in judged:
        halves[derive_seed(0, one.sample.problem) % 2].append(one)
    thresholds = [best_threshold(half) for half in halves]
    chosen = [threshold for threshold in reversed(thresholds) if threshold is not None]
    if len(chosen) < 2:
        return None
    return _measured(list(zip(halves, chosen, strict=True)))


def best_threshold(judged: Sequence[ScoredSolution]) -> float | None:
    """The threshold with the highest F1: the middle of the widest interval that has it.

    None where there are no samples with an error, or none without.
    """
    wrong, right = _classes(judged)
    if not (wrong.samples and right.samples):
        return None
    bounds = np.concatenate([[0.0, 1.0], wrong.low, wrong.high, right.low, right.high])
    edges = np.unique(np.clip(bounds, 0.0, 1.0))
    middles = (edges[:-1] + edges[1:]) / 2
    f1 = _harmonic(wrong.shares(middles), right.shares(middles))
    widths = np.where(f1 == f1.max(), np.diff(edges), 0.0)
    return float(middles[widths.argmax()])


def curve(judged: Sequence[ScoredSolution], points: int = 101) -> ThresholdCurve:
    """The measure at ``points`` thresholds from 0 to 1."""
    thresholds = np.linspace(0.0, 1.0, points)
    wrong, right = (each.shares(thresholds) if each.samples else None for each in _classes(judged))
    both = None if wrong is None or right is None else _harmonic(wrong, right)
    return ThresholdCurve(
        thresholds=tuple(thresholds.tolist()),
        wrong=None if wrong is None else tuple(wrong.tolist()),
        right=None if right is None else tuple(right.tolist()),
        f1=None if both is None else tuple(both.tolist()),
    )


def _measured(parts: Sequence[tuple[Sequence[ScoredSolution], float]]) -> FirstErrors:
    """The measure over several parts of the samples, each at its own threshold."""
    hits, totals = [0, 0], [0, 0]
    for judged, threshold in parts:
        for i, each in enumerate(_classes(judged)):
            hits[i] += int(each.hits(np.array([threshold]))[0])
            totals[i] += each.samples
    wrong, right = (share(*counts) for counts in zip(hits, totals, strict=True))
    return FirstErrors(
        thresholds=tuple(threshold for _, threshold in parts),
        wrong=wrong,
        right=right,
        f1=None if wrong is None or right is None else _f1(hits, totals),
    )


def _classes(judged: Sequence[ScoredSolution]) -> tuple[_Class, _Class]:
    """Samples with an error, and those without."""
    return (
        _Class.of([one for one in judged if not one.sample.is_right]),
        _Class.of([one for one in judged if one.sample.is_right]),
    )


def _f1(hits: Sequence[int], totals: Sequence[int], seed: int = 0) -> Estimate:
    """The harmonic mean with a parametric bootstrap interval, the classes resampled apart.

    Each accuracy is drawn from its Jeffreys posterior: a plain resample of a class that is all
    right or all wrong would never vary, however few samples it has.
    """
    value = float(_harmonic(*(np.array([h / n]) for h, n in zip(hits, totals, strict=True)))[0])
    rng = np.random.default_rng(seed)
    drawn = [rng.beta(h + 0.5, n - h + 0.5, RESAMPLES) for h, n in zip(hits, totals, strict=True)]
    low, high = np.quantile(_harmonic(*drawn), [0.025, 0.975])
    return Estimate(
        value=value, low=min(value, float(low)), high=max(value, float(high)), samples=sum(totals)
    )


def _harmonic(one: Floats, other: Floats) -> Floats:
    """Their harmonic mean, elementwise; 0 where both are 0."""
    total = one + other
    return np.divide(2 * one * other, total, out=np.zeros_like(total), where=total > 0)
