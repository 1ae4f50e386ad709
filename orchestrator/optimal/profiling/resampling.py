"""Estimate the accuracy of n samples from a run of N > n of them.

The N samples of a problem are independent, so n of them, drawn without replacement, are as good as
n new ones. The chance that a vote over n is right is therefore a mean over subsets: exact for
n = 1, n = N and PRM-Max, and estimated from random subsets for other votes.
"""

from itertools import groupby
from math import comb

from orchestrator.core.voting import Max, Vote
from orchestrator.optimal.profiling.ballots import Ballots, Drawn

SUBSETS = 128
"""Random subsets per problem: enough that their noise is far below that between problems."""


def pass_at_k(right: int, samples: int, k: int) -> float:
    """Unbiased estimate of pass@k, the chance that any of ``k`` is right (Chen et al. 2021)."""
    return 1.0 - comb(samples - right, k) / comb(samples, k)


def chance(drawn: Drawn, vote: Vote, n: int, *, seed: int = 0, subsets: int = SUBSETS) -> float:
    """How often ``vote`` over ``n`` of the samples elects a right answer, in 0..1."""
    if not 1 <= n <= len(drawn):
        raise ValueError(f"{n} samples of {len(drawn)} cannot be drawn")
    is_scored = all(
        scores
        for scores, answer in zip(drawn.scores, drawn.answers, strict=True)
        if answer is not None
    )
    if isinstance(vote, Max) and is_scored and n < len(drawn):
        return _highest(drawn, vote, n)
    return _elected(drawn, vote, n, seed, subsets)


def _highest(drawn: Drawn, vote: Vote, n: int) -> float:
    """The exact chance. Samples of equal value win a subset that contains any of them and none of a
    higher value; each of them is equally likely to come first.

    Samples without an answer never win, and a subset of only those elects nothing.
    """
    voters = [
        (value, right)
        for value, right in zip(drawn.values(vote), drawn.right, strict=True)
        if value is not None
    ]
    below = len(drawn)
    chance = 0.0
    for _, equals in groupby(sorted(voters, reverse=True), key=lambda voter: voter[0]):
        right = [is_right for _, is_right in equals]
        subsets = comb(below, n) - comb(below - len(right), n)
        chance += subsets * sum(right) / len(right)
        below -= len(right)
    return chance / comb(len(drawn), n)


def _elected(drawn: Drawn, vote: Vote, n: int, seed: int, subsets: int) -> float:
    import numpy as np

    everyone = np.arange(len(drawn))[None, :]
    order = (
        everyone
        if n == len(drawn)
        else np.random.default_rng(seed).permuted(np.tile(everyone, (subsets, 1)), axis=1)
    )
    elected = Ballots(drawn, order).elects_right(vote, np.array([n]))
    return float(elected.mean())
