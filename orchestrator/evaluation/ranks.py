"""Rank statistics, which no monotone rescaling of the scores changes."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from orchestrator.evaluation.estimates import Estimate
from orchestrator.statistics import Z95

FEWEST = 4
"""The interval of a correlation needs more than three pairs."""


def ranks(values: Sequence[float]) -> NDArray[np.float64]:
    """Ranks from 1; equal values share the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[place], dtype=np.float64)


def auroc(positives: Sequence[float], negatives: Sequence[float]) -> float | None:
    """The chance that a positive outranks a negative, ties counting half (Mann & Whitney 1947).

    None where one of the two is empty.
    """
    if not (positives and negatives):
        return None
    total = float(ranks([*positives, *negatives])[: len(positives)].sum())
    lowest = len(positives) * (len(positives) + 1) / 2
    return (total - lowest) / (len(positives) * len(negatives))


def spearman(ours: Sequence[float], theirs: Sequence[float]) -> Estimate | None:
    """Spearman's rank correlation with its 95 % interval (Bonett & Wright 2000).

    None where there are fewer than ``FEWEST`` pairs, or one side is all equal.
    """
    total = len(ours)
    if total < FEWEST or len(set(ours)) < 2 or len(set(theirs)) < 2:
        return None
    value = float(np.clip(np.corrcoef(ranks(ours), ranks(theirs))[0, 1], -1.0, 1.0))
    if abs(value) > 1 - 1e-12:  # the transform has no value there
        return Estimate(value=round(value), low=round(value), high=round(value), samples=total)
    half = Z95 * math.sqrt((1 + value**2 / 2) / (total - 3))
    low, high = math.tanh(math.atanh(value) - half), math.tanh(math.atanh(value) + half)
    return Estimate(value=value, low=low, high=high, samples=total)
