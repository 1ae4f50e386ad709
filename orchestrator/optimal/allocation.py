"""Allocation of arms to difficulty bins under one budget. Pure functions."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple


class Allocation(NamedTuple):
    """One arm per bin, by index, with expected accuracy (``right``) and use over all problems."""

    arms: tuple[int, ...]
    right: float
    used: float


class ParetoFront(NamedTuple):
    """The arms of one bin to choose from, cheapest first: those ``sure`` to beat every cheaper one,
    and those ``likely`` to, which include the sure ones."""

    sure: tuple[int, ...]
    likely: tuple[int, ...]


def best_on_average(
    shares: Sequence[float],
    fronts: Sequence[ParetoFront],
    right: Sequence[Sequence[float]],
    used: Sequence[Sequence[float]],
    budget: float,
) -> Allocation:
    """The most accurate arms whose use is at most ``budget``, on average over problems.

    ``shares[b]`` is the share of problems in bin ``b``, ``right[b][a]`` an arm's accuracy there and
    ``used[b][a]`` what it uses. What one bin saves another may spend. Likely arms are considered
    only if the most expensive sure ones fit the budget. If even the cheapest arms exceed it, those
    are returned.
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
    """The same, with an expected use of at most ``budget`` in every bin."""

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
