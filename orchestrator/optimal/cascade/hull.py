"""The upper hull of accuracy against use, and what lies between two of its points."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

P = TypeVar("P")


class Reached(NamedTuple):
    """What a problem uses on average, in any one unit, and how often it is right."""

    use: float
    accuracy: float


def on_hull(points: Sequence[P], reached: Callable[[P], Reached]) -> list[P]:
    """The points that no mixture of others beats, from the cheapest to the most accurate."""
    found: list[tuple[Reached, P]] = []
    tried = [(reached(each), each) for each in points]
    for at, point in sorted(tried, key=lambda each: (each[0].use, -each[0].accuracy)):
        if found and at.accuracy <= found[-1][0].accuracy:
            continue
        while len(found) > 1 and _slope(found[-2][0], at) >= _slope(found[-2][0], found[-1][0]):
            found.pop()
        found.append((at, point))
    return [point for _, point in found]


class Between(NamedTuple):
    """A place on a hull: between the points number ``cheap`` and ``dear``, with a ``share`` of the
    problems, above 0, for the latter. At a point both are the same, and the share is 1."""

    cheap: int
    dear: int
    share: float


def at_use(hull: Sequence[Reached], use: float) -> Between | None:
    """Where the mean use is ``use``: at the last point if it is more, None if less than the
    first's."""
    return _between([each.use for each in hull], min(use, hull[-1].use))


def at_accuracy(hull: Sequence[Reached], accuracy: float) -> Between | None:
    """Where the expected accuracy is ``accuracy``: at the first point if it is less, None if more
    than the last's."""
    return _between([each.accuracy for each in hull], max(accuracy, hull[0].accuracy))


def _between(rising: Sequence[float], value: float) -> Between | None:
    if not rising[0] <= value <= rising[-1]:
        return None
    dear = bisect_left(rising, value)
    if rising[dear] == value:
        return Between(dear, dear, 1.0)
    return Between(dear - 1, dear, (value - rising[dear - 1]) / (rising[dear] - rising[dear - 1]))


def _slope(one: Reached, other: Reached) -> float:
    return (other.accuracy - one.accuracy) / max(1e-12, other.use - one.use)
