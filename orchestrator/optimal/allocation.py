"""Which arm each difficulty bin gets under one budget. Pure functions."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple


class Allocation(NamedTuple):
    """One arm a bin, by its index, and what is expected of them over all problems."""

    arms: tuple[int, ...]
    right: float
    used: float


class ParetoFront(NamedTuple):
    """The arms worth choosing among in one bin, from the cheapest on: those that are ``sure``ly
    better than every cheaper one, and those that are ``likely`` so, the sure ones among them."""

    sure: tuple[int, ...]
    likely: tuple[int, ...]


def best_on_average(
    shares: Sequence[float],
    fronts: Sequence[ParetoFront],
    right: Sequence[Sequence[float]],
    used: Sequence[Sequence[float]],
    budget: float,
) -> Allocation:
    """The arms of the highest accuracy whose use is ``budget`` at most, on average over problems.

    ``shares[b]`` is the share of problems in bin ``b``, ``right[b][a]`` an arm's accuracy there and
    ``used[b][a]`` what it uses. What one bin leaves goes to where it helps. A budget goes to arms
    that are sure first; where all of them fit, to likely ones. Where not even the cheapest fit, it
    is those.
    """
    dearest = _expected(shares, right, used, tuple(front.sure[-1] for front in fronts))
    among = [front.likely if dearest.used <= budget else front.sure for front in fronts]
    choices = [_expected(shares, right, used, arms) for arms in itertools.product(*among)]
    fitting = [choice for choice in choices if choice.used <= budget]
    if not fitting:
        return min(choices, key=lambda choice: choice.used)
    return max(fitting, key=lambda choice: (choice.right, -choice.used))


def best_for_each(
    shares: Sequence[float],
    fronts: Sequence[ParetoFront],
    right: Sequence[Sequence[float]],
    used: Sequence[Sequence[float]],
    budget: float,
) -> Allocation:
    """The same where no problem may be expected to use more than ``budget``."""

    def best(b: int) -> int:
        sure, likely = fronts[b]
        among = likely if used[b][sure[-1]] <= budget else sure
        fitting = [arm for arm in among if used[b][arm] <= budget]
        return max(fitting, key=lambda arm: right[b][arm], default=sure[0])

    return _expected(shares, right, used, tuple(best(b) for b in range(len(shares))))


def _expected(
    shares: Sequence[float],
    right: Sequence[Sequence[float]],
    used: Sequence[Sequence[float]],
    arms: tuple[int, ...],
) -> Allocation:
    return Allocation(
        arms,
        sum(share * right[b][arms[b]] for b, share in enumerate(shares)),
        sum(share * used[b][arms[b]] for b, share in enumerate(shares)),
    )
