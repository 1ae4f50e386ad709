"""Which tree searches are worth measuring on more problems: successive halving over cells
(Karnin et al. 2013), so that a profile costs what it may cost. Pure functions.
"""

import math
from collections.abc import Mapping, Sequence


def shortfalls(
    right: Sequence[Sequence[float]],
    errors: Sequence[Sequence[float]],
    used: Sequence[Sequence[float]],
) -> list[float]:
    """How far each arm is below the accuracy/token front of the bin where it is nearest to it, in
    its standard errors; 0 on a front. All are ``[b][a]``, an error is NaN where a bin tells nothing
    of an arm."""
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
    """What the best arm comes to that uses so many ``tokens`` at most."""
    return max(each for each, cost in zip(right, used, strict=True) if cost <= tokens)


def survivors(shortfall: Mapping[str, float]) -> list[str]:
    """The nearer half of the cells, and whatever else is on a front of some bin."""
    nearest = sorted(shortfall, key=lambda cell: shortfall[cell])
    half = math.ceil(len(nearest) / 2)
    return nearest[:half] + [cell for cell in nearest[half:] if not shortfall[cell]]


def reach(reached: int, problems: int, tokens: float, per_problem: float, rounds: int) -> int:
    """How many problems the cells of the next round are run on, that come to ``reached`` so far and
    together take so many tokens ``per_problem``; it may use its share of the ``tokens`` left to
    this and the other of the last ``rounds``."""
    more = max(0, int(tokens / rounds / max(1.0, per_problem)))
    return min(problems, reached + more)
