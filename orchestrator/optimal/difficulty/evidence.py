"""Features of a problem and its pilots, which need no reference answer."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev

from orchestrator.core.confidence import Confidence
from orchestrator.core.voting import Majority, Weighted, elect

CONFIDENCE = "confidence"
"""The feature that needs log-probabilities of samples, which some servers do not return."""

LOGPROBS = frozenset({CONFIDENCE, "tail", "lowest"})
"""All features of the greedy solution's log-probabilities."""

QUESTION_LENGTH, QUESTION_LOGPROB = "question_length", "question_logprob"
"""The features of the question itself: its length is known before any request; its log-probability
comes with the first one, from servers that return log-probabilities of prompts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pilot:
    """One sampled solution: the class of its answer (None if it states none), its PRM scores (one
    per step, empty without a PRM), its tokens and the policy's confidence in them, if known.

    ``question_logprob`` is the mean log-probability per token of the question, None if unknown.
    """

    answer: int | None
    scores: tuple[float, ...]
    tokens: int
    confidence: Confidence | None = None
    question_logprob: float | None = None


def features(samples: Sequence[Pilot], characters: int = 0) -> dict[str, float]:
    """The features of a problem, by name. The first sample is the greedy one.

    - ``question_length``: the logarithm of the question's ``characters``, if known (not 0).

    With samples also:

    - ``agreement``: the share of samples with the most common answer.
    - ``backing``: the share of the other samples that agree with the first.
    - ``entropy``: of the distribution of answers, in 0..1.
    - ``answered``: the share of samples that state an answer.
    - ``length``: the logarithm of the mean number of tokens.
    - ``confidence``: the mean log-probability per token of the first, if known.
    - ``question_logprob``: the mean log-probability per token of the question, if known.

    With scores of all samples also:

    - ``first``: PRM-Last of the first sample.
    - ``score``, ``best``, ``spread``: mean, maximum and deviation of PRM-Last over the samples.
    - ``weight``: the share of the answer that PRM-Vote elects, in 0..1.
    - ``doubt``: the mean over samples of the logit of their lowest step.
    """
    found = {QUESTION_LENGTH: math.log(characters)} if characters else {}
    if not samples:
        return found
    classes = [sample.answer for sample in samples]
    given = elect(Majority(), samples, classes).totals
    unanswered = classes.count(None)
    shares = [count / len(samples) for count in given.values()]
    shares += [1 / len(samples)] * unanswered
    first, *others = samples
    found |= {
        "agreement": max(given.values(), default=0.0) / len(samples),
        "backing": sum(first.answer is not None and each.answer == first.answer for each in others)
        / max(1, len(others)),
        "entropy": -math.fsum(share * math.log(share) for share in shares)
        / math.log(max(2, len(samples))),
        "answered": (len(samples) - unanswered) / len(samples),
        "length": math.log1p(fmean(sample.tokens for sample in samples)),
    }
    if first.confidence is not None:
        found[CONFIDENCE] = first.confidence.mean
    if first.question_logprob is not None:
        found[QUESTION_LOGPROB] = first.question_logprob
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
    """Log-odds of a probability clipped to 0.001..0.999."""
    within = min(0.999, max(0.001, probability))
    return math.log(within / (1 - within))
