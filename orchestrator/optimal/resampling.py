"""One run of many samples tells the accuracy of every smaller number of them.

A run drew N independent solutions of a problem; n of these, drawn without replacement, are as good
as n drawn afresh. So the chance that a vote over n is right is a mean over subsets: exactly known
for n = 1, n = N and PRM-Max, and by many random subsets for the votes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

from orchestrator.core.rewards import value
from orchestrator.core.voting import Vote, split_vote

SUBSETS = 128
"""Random subsets of a problem's samples: their noise is far below that between problems."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A problem's samples: the class of each one's answer (None: none), whether it is right, and
    its PRM scores, one a step."""

    answers: tuple[int | None, ...]
    right: tuple[bool, ...]
    scores: tuple[tuple[float, ...], ...]

    def __len__(self) -> int:
        return len(self.answers)


def pass_at_k(right: int, samples: int, k: int) -> float:
    """The chance that one of ``k`` is right, unbiased (Chen et al. 2021)."""
    return 1.0 - comb(samples - right, k) / comb(samples, k)


def chance(drawn: Drawn, vote: Vote, n: int, *, seed: int = 0, subsets: int = SUBSETS) -> float:
    """How often ``vote`` over ``n`` of the samples elects a right answer, in 0..1."""
    if not 1 <= n <= len(drawn):
        raise ValueError(f"{n} samples of {len(drawn)} cannot be drawn")
    values = [1.0] * len(drawn)
    if vote != "majority":
        kind, reward = split_vote(vote)
        values = [value(scores, reward) for scores in drawn.scores]
        if kind == "max":
            return _highest(drawn, values, n)
    return _elected(drawn, values, n, seed, subsets)


def _highest(drawn: Drawn, values: Sequence[float], n: int) -> float:
    """Exactly: sample i of the ranking is the best of a subset where the rest is below it.

    Samples without an answer never count, so a subset may consist of them alone.
    """
    ranked = sorted(
        (i for i, answer in enumerate(drawn.answers) if answer is not None),
        key=lambda i: (-values[i], i),
    )
    below = len(drawn)
    chance = 0.0
    for i in ranked:
        below -= 1
        chance += drawn.right[i] * comb(below, n - 1)
    return chance / comb(len(drawn), n)


def _elected(drawn: Drawn, values: Sequence[float], n: int, seed: int, subsets: int) -> float:
    import numpy as np

    answers = np.array([-1 if answer is None else answer for answer in drawn.answers])
    if not (answers >= 0).any():
        return 0.0
    ballots = answers[:, None] == np.arange(answers.max() + 1)
    weights = ballots * np.asarray(values)[:, None]
    everyone = np.arange(len(drawn))
    order = (
        everyone[None, :]
        if n == len(drawn)
        else np.random.default_rng(seed).permuted(np.tile(everyone, (subsets, 1)), axis=1)[:, :n]
    )
    cast, totals = ballots[order], weights[order].sum(axis=1)
    took_part = cast.any(axis=1)
    # ties go to the answer seen first, as in an election of these samples in this order
    totals = np.where(took_part, totals, -np.inf)
    tied = np.isclose(totals, totals.max(axis=1, keepdims=True), rtol=1e-12, atol=0.0) & took_part
    elected = np.where(tied, cast.argmax(axis=1), n).argmin(axis=1)
    is_right = (ballots & np.asarray(drawn.right)[:, None]).any(axis=0)
    return float((is_right[elected] & took_part.any(axis=1)).mean())
