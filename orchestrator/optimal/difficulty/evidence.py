"""What a few pilot samples show of a problem, without its answer being known."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev

from orchestrator.core.voting import Majority, Weighted, elect

CONFIDENCE = "confidence"
"""The feature that takes log-probabilities: servers need not tell them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pilot:
    """One whole solution: the class of its answer (None where it states none), its PRM scores, one
    a step and none without a PRM, the tokens it took and their mean log-probability, where that is
    known."""

    answer: int | None
    scores: tuple[float, ...]
    tokens: int
    logprob: float | None = None


def features(samples: Sequence[Pilot]) -> dict[str, float]:
    """What describes a problem to a predictor, by name; the first sample is the greedy one.

    ``agreement`` is the share of samples with the commonest answer, ``backing`` that of the others
    which answer as the first, ``entropy`` that of the answers in 0..1, ``answered`` the share that
    state one, ``length`` the logarithm of their tokens; ``confidence`` the first one's mean
    log-probability a token, where it is known. With scores: the ``first`` one's PRM-Last;
    the mean, highest and spread of it over the samples; the ``weight`` in 0..1 of the answer that
    PRM-Vote would elect; and ``doubt``, the mean over the samples of their lowest step's logit.
    """
    classes = [sample.answer for sample in samples]
    given = elect(Majority(), samples, classes).totals
    unanswered = classes.count(None)
    shares = [count / len(samples) for count in given.values()]
    shares += [1 / len(samples)] * unanswered
    first, *others = samples
    found = {
        "agreement": max(given.values(), default=0.0) / len(samples),
        "backing": sum(first.answer is not None and each.answer == first.answer for each in others)
        / max(1, len(others)),
        "entropy": -math.fsum(share * math.log(share) for share in shares)
        / math.log(max(2, len(samples))),
        "answered": (len(samples) - unanswered) / len(samples),
        "length": math.log1p(fmean(sample.tokens for sample in samples)),
    }
    if first.logprob is not None:
        found[CONFIDENCE] = first.logprob
    if not all(sample.scores for sample in samples):
        return found
    last = [sample.scores[-1] for sample in samples]
    weights = elect(Weighted("last"), samples, classes).totals
    return found | {
        "first": last[0],
        "score": fmean(last),
        "best": max(last),
        "spread": pstdev(last),
        "weight": max(weights.values(), default=0.0) / max(math.fsum(last), 1e-9),
        "doubt": fmean(logit(min(sample.scores)) for sample in samples),
    }


def logit(probability: float) -> float:
    """Log-odds, within those of 0.001 and 0.999."""
    within = min(0.999, max(0.001, probability))
    return math.log(within / (1 - within))
