"""Which arm each difficulty bin gets under one budget. Pure functions."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple


class Choice(NamedTuple):
    """One arm a bin, by its index, and what is expected of them over all problems."""

    arms: tuple[int, ...]
    right: float
    used: float


def front(right: Sequence[float], used: Sequence[float]) -> list[int]:
    """The arms that no cheaper one is as good as, from the cheapest on."""
    found: list[int] = []
    for arm in sorted(range(len(right)), key=lambda arm: (used[arm], -right[arm])):
        if not found or right[arm] > right[found[-1]]:
            found.append(arm)
    return found


def best_on_average(
    shares: Sequence[float],
    right: Sequence[Sequence[float]],
    used: Sequence[Sequence[float]],
    budget: float,
) -> Choice:
    """The arms of the highest accuracy whose use is ``budget`` at most, on average over problems.

    ``shares[b]`` is the share of problems in bin ``b``, ``right[b][a]`` an arm's accuracy there and
    ``used[b][a]`` what it uses. What one bin leaves goes to where it helps. Where not even the
    cheapest fit, it is those.
    """
    fronts = [front(right[b], used[b]) for b in range(len(shares))]

    def expected(arms: tuple[int, ...]) -> Choice:
        return Choice(
            arms,
            sum(share * right[b][arms[b]] for b, share in enumerate(shares)),
            sum(share * used[b][arms[b]] for b, share in enumerate(shares)),
        )

    choices = [expected(arms) for arms in itertools.product(*fronts)]
    fitting = [choice for choice in choices if choice.used <= budget]
    if not fitting:
        return min(choices, key=lambda choice: choice.used)
    return max(fitting, key=lambda choice: (choice.right, -choice.used))


def best_for_each(
    shares: Sequence[float],
    right: Sequence[Sequence[float]],
    used: Sequence[Sequence[float]],
    budget: float,
) -> Choice:
    """The same where no problem may be expected to use more than ``budget``."""
    arms = []
    for b in range(len(shares)):
        ahead = front(right[b], used[b])
        fitting = [arm for arm in ahead if used[b][arm] <= budget]
        arms.append((fitting or ahead[:1])[-1])
    return Choice(
        tuple(arms),
        sum(share * right[b][arm] for (b, share), arm in zip(enumerate(shares), arms, strict=True)),
        sum(share * used[b][arm] for (b, share), arm in zip(enumerate(shares), arms, strict=True)),
    )
