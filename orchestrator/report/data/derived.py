"""The paper's derived figures. Pure functions over accuracies, budgets and FLOPs."""

import itertools
import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from orchestrator.core.compute import TotalFlops


class Point(NamedTuple):
    """A budget (N, or tokens per problem) and the accuracy at it."""

    budget: float
    accuracy: float


class EfficiencyGain(NamedTuple):
    """How many times less budget reaches the same accuracy.

    "at least" if the smallest measured budget already exceeds it.
    """

    ratio: float
    bound: Literal["", "at least"] = ""


def performance_gain(cot: float, accuracy: float) -> float | None:
    """The relative gain over CoT (paper, Table 5): 26.0 to 66.2 is 1.546. None over 0."""
    return (accuracy - cot) / cot if cot else None


def efficiency_gain(majority: Sequence[Point], ours: Sequence[Point]) -> EfficiencyGain | None:
    """Majority voting's smallest budget with its best accuracy, divided by the budget at which
    ``ours`` reaches that accuracy (paper, Table 5). None if it never does, or if either is empty.

    Between two points accuracy is interpolated in the logarithm of the budget; the paper does not
    say how.
    """
    if not majority or not ours:
        return None
    best = max(majority, key=lambda point: (point.accuracy, -point.budget))
    points = sorted(ours)
    if points[0].accuracy >= best.accuracy:
        is_first_known = points[0].accuracy == best.accuracy
        ratio = best.budget / points[0].budget
        return EfficiencyGain(ratio, "" if is_first_known else "at least")
    for below, above in itertools.pairwise(points):
        if above.accuracy >= best.accuracy:
            part = (best.accuracy - below.accuracy) / (above.accuracy - below.accuracy)
            steps = math.log(above.budget / below.budget)
            return EfficiencyGain(best.budget / (below.budget * math.exp(part * steps)))
    return None


def times_fewer(large: TotalFlops, small: TotalFlops) -> float:
    """How many times fewer FLOPs the small model used, in pre-training and inference together."""
    return large.total / small.total
