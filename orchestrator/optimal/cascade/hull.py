"""The upper hull of accuracy against use."""

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


def _slope(one: Reached, other: Reached) -> float:
    return (other.accuracy - one.accuracy) / max(1e-12, other.use - one.use)
