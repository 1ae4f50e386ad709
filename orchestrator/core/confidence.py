"""How sure a policy was of a sample, from the log-probabilities of the tokens it sampled.

Servers send these numbers with the sample, so they cost no request. Three ways to sum them up:

- ``mean``: the length-normalised sequence probability that CISC calls *response probability*, as
  its logarithm (arXiv 2502.06233). CISC's best measure, P(True), asks the model a further
  question about each sample; ours does not.
- ``tail`` and ``lowest``: over DeepConf's parts of a sample, the last tokens and the worst sliding
  window (arXiv 2508.15260). DeepConf averages over the ``k`` likeliest tokens of each position
  (the mean of their negative log-probabilities, k = 20), which tells how peaked the distribution
  is. Ours looks at the sampled token alone, which every server sends without ``top_logprobs``.

Neither is self-certainty (arXiv 2502.18581): that is the divergence of the whole distribution
over the vocabulary from the uniform one, and no API sends a whole vocabulary. Only its Borda count
carries over (``core.voting``).

Such numbers compare the samples of *one* question: across questions they say little about which
answers are right (CISC's within-question discrimination). vLLM and the embedded server report
log-probabilities before temperature and top-p; other servers may not.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, get_args

Measure = Literal["mean", "tail", "lowest"]
MEASURES: tuple[Measure, ...] = get_args(Measure)

TAIL = 32
"""Tokens in the tail: about the last step and the sentence that states the answer."""

WINDOW = 16
"""Tokens in a window: about one calculation, so that the rest of a solution does not average away
the step that went wrong. DeepConf's 2,048 tokens are for chains of tens of thousands; the same
share of a solution of some hundred tokens is this."""

FLOOR = -100.0
"""The least a token counts: servers write -9999 for what they do not tell, or for minus infinity,
and one such number would drown all others."""

ROUNDING = 1e-3
"""How far above 0 a log-probability may lie by rounding alone, as in bfloat16."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confidence:
    """Mean log-probabilities a token of one sample, each 0 or below: of all its tokens (``mean``),
    of the last ``TAIL`` (``tail``), and of the ``WINDOW`` in a row where it is ``lowest``. A sample
    that is shorter has the same number in place of each."""

    mean: float
    tail: float
    lowest: float

    @classmethod
    def level(cls, mean: float) -> "Confidence":
        """The confidence of a sample of which the mean alone is known."""
        return cls(mean=mean, tail=mean, lowest=mean)

    def rounded(self) -> "Confidence":
        """To six digits, as records hold it."""
        return Confidence(
            mean=round(self.mean, 6), tail=round(self.tail, 6), lowest=round(self.lowest, 6)
        )


def confidence(logprobs: Sequence[float]) -> Confidence | None:
    """The confidence of a sample whose tokens have these log-probabilities; None for no tokens.

    Raises ``ValueError`` for numbers that are no log-probabilities: NaN, or above 0.
    """
    if not logprobs:
        return None
    for each in logprobs:
        if not each <= ROUNDING:
            raise ValueError(f"{each} is no log-probability")
    clipped = [min(0.0, max(FLOOR, each)) for each in logprobs]
    return Confidence(
        mean=_mean(clipped), tail=_mean(clipped[-TAIL:]), lowest=_lowest(clipped, WINDOW)
    )


def _lowest(numbers: Sequence[float], window: int) -> float:
    """The lowest mean of ``window`` numbers in a row."""
    if len(numbers) <= window:
        return _mean(numbers)
    sums = list(accumulate(numbers, initial=0.0))
    return min((b - a) / window for a, b in zip(sums, sums[window:], strict=False))


def _mean(numbers: Sequence[float]) -> float:
    return math.fsum(numbers) / len(numbers)
