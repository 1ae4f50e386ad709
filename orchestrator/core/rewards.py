"""From a path's step scores to its value: PRM-Last, PRM-Min, PRM-Avg (paper §3.1) and product."""

import math
from collections.abc import Callable, Sequence
from typing import Literal, get_args

Reward = Literal["last", "min", "avg", "prod"]
REWARDS: tuple[Reward, ...] = get_args(Reward)

UNSCORED = -1.0
"""The value of a path without scores: it ranks below every scored one. It is no weight: in a vote
such a path abstains (``core.voting``)."""

_REDUCE: dict[Reward, Callable[[Sequence[float]], float]] = {
    "last": lambda scores: scores[-1],
    "min": min,
    "avg": lambda scores: sum(scores) / len(scores),
    "prod": math.prod,
}


def value(scores: Sequence[float], reward: Reward) -> float:
    """The value of a path with these step scores."""
    return _REDUCE[reward](scores) if scores else UNSCORED
