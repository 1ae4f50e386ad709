"""Early stopping: when a search has seen enough. Pure functions; each strategy names its rule.

``totals`` are what each answer was given so far: one a sample for a majority, the sum of its
samples' PRM scores for a weighted vote. They count as that many samples.
"""

import math
from collections.abc import Sequence
from typing import Literal, get_args

from orchestrator.core.node import Node
from orchestrator.core.rewards import Reward, value
from orchestrator.core.voting import ROUNDING

VoteRule = Literal["certain", "beta", "dirichlet"]
"""When sampling stops: once no further sample can change the vote; once it is likely enough that
the leading answer is commoner than the second one (Aggarwal et al. 2023), or than every other one,
those not seen yet included."""

VOTE_RULES: tuple[VoteRule, ...] = get_args(VoteRule)


def is_settled(totals: Sequence[float], to_come: float, rule: VoteRule, confidence: float) -> bool:
    """Whether a vote may be closed: with ``to_come`` more votes at most for any answer, infinitely
    many where a further sample may also change what others weigh."""
    first, second, *_ = [*sorted(totals, reverse=True), 0.0, 0.0]
    return first - second > to_come + ROUNDING or is_sure(totals, rule, confidence)


def is_sure(totals: Sequence[float], rule: VoteRule, confidence: float) -> bool:
    """Whether the leading answer is as likely to be the commonest as ``confidence`` says."""
    if rule == "certain" or not any(totals):
        return False
    return (lead if rule == "beta" else plurality)(totals) >= confidence


def lead(totals: Sequence[float]) -> float:
    """The posterior chance that the leading answer is commoner than the second.

    Beta with a uniform prior on the share of the two: P(share > 1/2).
    """
    first, second, *_ = [*sorted(totals, reverse=True), 0.0, 0.0]
    return at_least_half(first + 1, second + 1)


def plurality(totals: Sequence[float]) -> float:
    """A lower bound of the posterior chance that the leading answer is the commonest of all.

    Dirichlet with a uniform prior over the answers seen and one that was not; any two shares are
    Beta among themselves, and the chances of being surpassed add up at most (Bonferroni).
    """
    first, *others = [*sorted(totals, reverse=True), 0.0]
    return 1.0 - sum(1.0 - at_least_half(first + 1, other + 1) for other in others)


def at_least_half(a: float, b: float) -> float:
    """P(X > 1/2) for X ~ Beta(a, b), by the continued fraction of the incomplete beta function
    (Press et al., Numerical Recipes, §6.4)."""
    if a < b:
        return 1.0 - at_least_half(b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) - (a + b) * math.log(2))
    return 1.0 - front * _fraction(a, b) / a  # which converges at once for a ≥ b


def _fraction(a: float, b: float, x: float = 0.5) -> float:
    c, d = 1.0, 1.0 / _away_from_zero(1.0 - (a + b) * x / (a + 1))
    found = d
    for m in range(1, 500):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 / _away_from_zero(1.0 + numerator * d)
            c = _away_from_zero(1.0 + numerator / c)
            found *= c * d
        if abs(c * d - 1.0) < 1e-12:
            break
    return found


def _away_from_zero(number: float) -> float:
    return number if abs(number) > 1e-300 else 1e-300


def dominates(finished: Sequence[Node], open_paths: Sequence[Node], reward: Reward) -> bool:
    """Whether the best finished path is worth at least as much as every open one.

    Under a PRM whose scores never rise along a path no open one can surpass it then.
    """
    if not finished:
        return False
    best = max(value(node.scores, reward) for node in finished)
    return all(value(node.scores, reward) <= best for node in open_paths)
