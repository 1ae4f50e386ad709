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
    """How many standard errors each arm is below the accuracy/token front, in the bin where it is
    nearest; 0 on a front. All are ``[b][a]``; an error is NaN where a bin says nothing of an
    arm."""
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
    """The half of the cells nearest to a front, and any other that is on one."""
    nearest = sorted(shortfall, key=lambda cell: shortfall[cell])
    half = math.ceil(len(nearest) / 2)
    return nearest[:half] + [cell for cell in nearest[half:] if not shortfall[cell]]


def reach(reached: int, problems: int, tokens: float, per_problem: float, rounds: int) -> int:
    """How many problems the next round runs its cells on; ``reached`` were run so far.

    Together the cells take ``per_problem`` tokens. The round may use its share of the ``tokens``
    left for the last ``rounds``, this one among them."""
    more = max(0, int(tokens / rounds / max(1.0, per_problem)))
    return min(problems, reached + more)
