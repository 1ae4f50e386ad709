"""Accuracies with their uncertainty. Pure functions."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

Z95 = 1.959963984540054
"""The normal quantile of a two-sided 95 % interval."""

RESAMPLES = 10_000


class Interval(NamedTuple):
    low: float
    high: float


class Difference(NamedTuple):
    """A difference of two accuracies with its 95 % interval."""

    difference: float
    low: float
    high: float


def wilson(correct: int, total: int) -> Interval:
    """The 95 % score interval of ``correct / total`` (Wilson 1927).

    It stays within 0..1 and keeps a width at 0 % and 100 %, where the textbook normal interval
    has none. Without trials it is all of 0..1.
    """
    if total == 0:
        return Interval(0.0, 1.0)
    rate = correct / total
    spread = Z95**2 / total
    centre = (rate + spread / 2) / (1 + spread)
    half = math.sqrt(rate * (1 - rate) * spread + spread**2 / 4) / (1 + spread)
    # At 0 and 1 rounding could leave the rate itself a hair outside.
    return Interval(max(0.0, min(rate, centre - half)), min(1.0, max(rate, centre + half)))


def paired_bootstrap(
    ours: Sequence[float], theirs: Sequence[float], *, resamples: int = RESAMPLES, seed: int = 0
) -> Difference:
    """Accuracy of ``ours`` less that of ``theirs``, with a 95 % percentile bootstrap interval.

    Position i of both is the same problem: right or wrong, or how often right. Problems are
    resampled with replacement (Efron & Tibshirani 1993, §13.3), so what makes a problem hard for
    both sides cancels. A resample is a draw of how often each difference that occurs is drawn: no
    index needs to be.
    """
    # numpy alone would double the start-up of a command line that only prints its help.
    import numpy as np

    if not len(ours):
        raise ValueError("a paired comparison needs at least one problem")
    gains = Counter(float(our) - float(their) for our, their in zip(ours, theirs, strict=True))
    sizes, counts = np.array(sorted(gains.items())).T
    total = counts.sum()
    drawn = np.random.default_rng(seed).multinomial(total, counts / total, size=resamples)
    low, high = np.quantile(drawn @ sizes / total, [0.025, 0.975])
    return Difference(float(counts @ sizes / total), float(low), float(high))


def mean_interval(values: Sequence[float], *, seed: int = 0) -> Interval:
    """The 95 % percentile bootstrap interval of a mean over problems."""
    _, low, high = paired_bootstrap(values, [0.0] * len(values), seed=seed)
    return Interval(low, high)
