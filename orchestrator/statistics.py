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

    Where all differences are alike every resample is, too, and would claim to know for certain. The
    interval is then what ``unseen`` problems could make of it.
    """
    gains = Counter(float(our) - float(their) for our, their in zip(ours, theirs, strict=True))
    return _bootstrap(gains, -1.0, 1.0, resamples, seed)


def mean_interval(values: Sequence[float], *, seed: int = 0) -> Interval:
    """The 95 % percentile bootstrap interval of a mean over problems of values in 0..1."""
    _, low, high = _bootstrap(Counter(map(float, values)), 0.0, 1.0, RESAMPLES, seed)
    return Interval(low, high)


def unseen(total: int) -> float:
    """The largest share of problems, at 97.5 % confidence, that are unlike all of ``total`` alike
    ones: 1 - 0.025^(1 / total) (Clopper & Pearson 1934)."""
    return 1 - math.pow(0.025, 1 / total)


def sign_test(wins: int, losses: int) -> float:
    """How likely two equally good sides would differ so unevenly or more: the exact two-sided test
    on the problems that one side alone solves (McNemar 1947)."""
    total, fewer = wins + losses, min(wins, losses)
    tail = sum(math.comb(total, count) for count in range(fewer + 1))
    return min(1.0, float(2 * tail / 2**total))


def _bootstrap(
    values: Counter[float], least: float, most: float, resamples: int, seed: int
) -> Difference:
    """The mean of ``values``, which lie in ``least``..``most``, with its interval."""
    # numpy alone would double the start-up of a command line that only prints its help.
    import numpy as np

    if not values:
        raise ValueError("a paired comparison needs at least one problem")
    if len(values) == 1:
        (alike,) = values
        share = unseen(values.total())
        return Difference(alike, alike + share * (least - alike), alike + share * (most - alike))
    sizes, counts = np.array(sorted(values.items())).T
    total = counts.sum()
    drawn = np.random.default_rng(seed).multinomial(total, counts / total, size=resamples)
    low, high = np.quantile(drawn @ sizes / total, [0.025, 0.975])
    return Difference(float(counts @ sizes / total), float(low), float(high))
