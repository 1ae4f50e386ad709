"""Length and position bias: do scores depend on a solution's length, or on a step's place?

Right and wrong solutions are measured separately, since longer solutions are wrong more often and
should score lower for that alone.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.core.rewards import REWARDS, Reward, value
from orchestrator.evaluation.estimates import Estimate
from orchestrator.evaluation.ranks import auroc, spearman
from orchestrator.evaluation.samples import LabelledSolution, ScoredSolution
from orchestrator.statistics import Z95


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """How a solution's score depends on its length, over right solutions or over wrong ones.

    ``steps`` and ``characters`` are Spearman correlations; ``per_step`` is the least-squares change
    of the score per further step. None if there are too few solutions, or all have one length.
    """

    steps: Estimate | None
    characters: Estimate | None
    per_step: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregate:
    """One way to aggregate the scores of steps into a solution's (``core.rewards``).

    ``auroc`` is the chance that a right solution outscores a wrong one, None without both.
    """

    reward: Reward
    auroc: float | None
    right: Trend
    wrong: Trend


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The mean score of ``count`` solutions, or steps, with its 95 % interval.

    ``at`` is the number of steps of these solutions, or the place of these steps, from 1. A single
    value has no interval.
    """

    at: int
    count: int
    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ByLength:
    """PRM-Last by a solution's number of steps, and right steps by their place in it."""

    right: tuple[Group, ...]
    wrong: tuple[Group, ...]
    right_steps: tuple[Group, ...]


def aggregate(judged: Sequence[ScoredSolution], reward: Reward) -> Aggregate:
    right = [one for one in judged if one.sample.is_right]
    wrong = [one for one in judged if not one.sample.is_right]
    return Aggregate(
        reward=reward,
        auroc=auroc(_values(right, reward), _values(wrong, reward)),
        right=_trend(right, reward),
        wrong=_trend(wrong, reward),
    )


def aggregates(judged: Sequence[ScoredSolution]) -> tuple[Aggregate, ...]:
    """All of ``core.rewards``."""
    return tuple(aggregate(judged, reward) for reward in REWARDS)


def by_length(judged: Sequence[ScoredSolution]) -> ByLength:
    solutions = [(one, value(one.scores, "last")) for one in judged]
    return ByLength(
        right=_groups([(len(o.scores), v) for o, v in solutions if o.sample.is_right]),
        wrong=_groups([(len(o.scores), v) for o, v in solutions if not o.sample.is_right]),
        right_steps=_groups(
            [
                (place, score)
                for one in judged
                for place, score in enumerate(one.scores[: _right_steps(one.sample)], start=1)
            ]
        ),
    )


def _right_steps(sample: LabelledSolution) -> int:
    return len(sample.steps) if sample.is_right else sample.label


def _values(judged: Sequence[ScoredSolution], reward: Reward) -> list[float]:
    return [value(one.scores, reward) for one in judged]


def _trend(judged: Sequence[ScoredSolution], reward: Reward) -> Trend:
    scores = _values(judged, reward)

    def correlation(length: Callable[[ScoredSolution], int]) -> Estimate | None:
        return spearman([length(one) for one in judged], scores)

    steps = correlation(lambda one: len(one.scores))
    slope = None
    if steps is not None:
        slope = float(np.polyfit([len(one.scores) for one in judged], scores, 1)[0])
    return Trend(
        steps=steps, characters=correlation(lambda one: one.sample.characters), per_step=slope
    )


def _groups(pairs: Sequence[tuple[int, float]]) -> tuple[Group, ...]:
    found: dict[int, list[float]] = defaultdict(list)
    for at, score in pairs:
        found[at].append(score)
    return tuple(_group(at, scores) for at, scores in sorted(found.items()))


def _group(at: int, scores: Sequence[float]) -> Group:
    mean = float(np.mean(scores))
    if len(scores) < 2:
        return Group(at=at, count=len(scores), mean=mean, low=None, high=None)
    half = Z95 * float(np.std(scores, ddof=1)) / len(scores) ** 0.5
    low, high = max(0.0, mean - half), min(1.0, mean + half)
    return Group(at=at, count=len(scores), mean=mean, low=low, high=high)
