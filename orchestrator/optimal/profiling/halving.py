"""Successive halving over tree searches (Karnin et al. 2013): which of them to measure on more
problems, within a cap on tokens. Pure functions.
"""

import math
from collections.abc import Mapping, Sequence


def shortfalls(
    right: Sequence[Sequence[float]],
    errors: Sequence[Sequence[float]],
    used: Sequence[Sequence[float]],
) -> list[float]:
    """How many standard errors each arm is below the accuracy/token front, in the bin where it is
    closest; 0 on a front. All arguments are ``[b][a]``; an error is NaN where an arm was not tried
    in a bin."""
    found = []
    for arm in range(len(right[0])):
        gaps = [
            (_reached(right[b], used[b], used[b][arm]) - right[b][arm]) / errors[b][arm]
            for b in range(len(right))
            if not math.isnan(errors[b][arm])
        ]
        found.append(min(gaps, default=math.inf))
    return found


def _reached(right: Sequence[float], used: Sequence[float], tokens: float) -> float:
    """The accuracy of the best arm that uses at most ``tokens``."""
    return max(each for each, cost in zip(right, used, strict=True) if cost <= tokens)


def survivors(shortfall: Mapping[str, float]) -> list[str]:
    """The half of the cells closest to a front, and any others on a front."""
    nearest = sorted(shortfall, key=lambda cell: shortfall[cell])
    half = math.ceil(len(nearest) / 2)
    return nearest[:half] + [cell for cell in nearest[half:] if not shortfall[cell]]


def reach(reached: int, problems: int, tokens: float, per_problem: float, rounds: int) -> int:
    """The number of problems for the next round; ``reached`` is that of the last one.

    All cells together use ``per_problem`` tokens. ``tokens`` remain, to be shared equally by the
    remaining ``rounds``, including this one.
    """
    more = max(0, int(tokens / rounds / max(1.0, per_problem)))
    return min(problems, reached + more)
