"""One run of many samples tells the accuracy of every smaller number of them.

A run drew N independent solutions of a problem; n of these, drawn without replacement, are as good
as n drawn afresh. So the chance that a vote over n is right is a mean over subsets: exactly known
for n = 1, n = N and PRM-Max, and by many random subsets for the votes.
"""

from itertools import groupby
from math import comb

from orchestrator.core.voting import Max, Vote
from orchestrator.optimal.profiling.ballots import Ballots, Drawn

SUBSETS = 128
"""Random subsets of a problem's samples: their noise is far below that between problems."""


def pass_at_k(right: int, samples: int, k: int) -> float:
    """The chance that one of ``k`` is right, unbiased (Chen et al. 2021)."""
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
    """Exactly: one of some samples of equal value is the best of a subset that holds any of them
    and nothing above, and each of them is as likely as another to come first.

    Samples without an answer never count, so a subset may consist of them alone.
    """
    voters = [
        (value, right)
        for value, right, answer in zip(drawn.values(vote), drawn.right, drawn.answers, strict=True)
        if answer is not None
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
    elected = Ballots(drawn, order).elects_right(vote, np.full(len(order), n))
    return float(elected.mean())
