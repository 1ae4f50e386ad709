"""Which arm each difficulty bin gets under one budget. Pure functions."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple


class Choice(NamedTuple):
    """One arm a bin, by its index, and what is expected of them over all problems."""

    arms: tuple[int, ...]
    right: float
    used: float


Fronts = Sequence[Sequence[int]]
"""For each bin the arms worth choosing among, from the cheapest on."""


def best_on_average(
    shares: Sequence[float],
    fronts: Fronts,
    right: Sequence[Sequence[float]],
    used: Sequence[Sequence[float]],
    budget: float,
) -> Choice:
    """The arms of the highest accuracy whose use is ``budget`` at most, on average over problems.

    ``shares[b]`` is the share of problems in bin ``b``, ``right[b][a]`` an arm's accuracy there and
    ``used[b][a]`` what it uses. What one bin leaves goes to where it helps. Where not even the
    cheapest fit, it is those.
    """
    choices = [_expected(shares, right, used, arms) for arms in itertools.product(*fronts)]
    fitting = [choice for choice in choices if choice.used <= budget]
    if not fitting:
        return min(choices, key=lambda choice: choice.used)
    return max(fitting, key=lambda choice: (choice.right, -choice.used))


def best_for_each(
    shares: Sequence[float],
    fronts: Fronts,
    right: Sequence[Sequence[float]],
    used: Sequence[Sequence[float]],
    budget: float,
) -> Choice:
    """The same where no problem may be expected to use more than ``budget``."""

    def best(b: int) -> int:
        fitting = [arm for arm in fronts[b] if used[b][arm] <= budget]
        return max(fitting, key=lambda arm: right[b][arm], default=fronts[b][0])

    return _expected(shares, right, used, tuple(best(b) for b in range(len(shares))))


def _expected(
    shares: Sequence[float],
    right: Sequence[Sequence[float]],
    used: Sequence[Sequence[float]],
    arms: tuple[int, ...],
) -> Choice:
    return Choice(
        arms,
        sum(share * right[b][arms[b]] for b, share in enumerate(shares)),
        sum(share * used[b][arms[b]] for b, share in enumerate(shares)),
    )
