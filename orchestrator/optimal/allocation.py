"""Allocation: which arm each difficulty bin gets under one budget. Pure functions."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple


class Allocation(NamedTuple):
    """One arm a bin, by index, with the expected accuracy (``right``) and use over all problems."""

    arms: tuple[int, ...]
    right: float
    used: float


class ParetoFront(NamedTuple):
    """The arms worth choosing among in one bin, cheapest first: those ``sure`` to be better than
    every cheaper one, and those ``likely`` to be, which include the sure ones."""

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
    ``used[b][a]`` what it uses. What one bin saves another may spend. Likely arms are considered
    only where all the sure ones fit the budget. If not even the cheapest arms fit, they are
    returned.
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
