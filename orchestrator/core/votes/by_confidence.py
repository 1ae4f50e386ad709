"""Votes by how sure the policy was of its samples, from their log-probabilities: no PRM needed.

Confidences compare the samples of one question and no others: every vote here is relative to who
else votes. ``core.confidence`` says what the measures are, and what of the papers they are not.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.core.confidence import Measure
from orchestrator.core.votes.vote import (
    ROUNDING,
    ByValue,
    Voter,
    check,
    first_of_the_highest,
    unless_usual,
)


@dataclass(frozen=True, slots=True)
class ByConfidence(ByValue):
    """Votes that go by a ``measure`` of confidence."""

    measure: Measure = "mean"

    def values(self, voters: Sequence[Voter]) -> list[float | None]:
        """How sure the policy was of each leaf, None where that is not known."""
        return [
            None if each.confidence is None else getattr(each.confidence, self.measure)
            for each in voters
        ]


@dataclass(frozen=True, slots=True)
class Confident(ByConfidence):
    """Every leaf weighs its confidence, by a softmax over the leaves of the question
    (Confidence-Informed Self-Consistency; Taubenfeld et al. 2025, arXiv 2502.06233, §3).

    ``temperature`` is in nats a token: a leaf that is surer by so much weighs e times as much. The
    weights sum to the number of leaves, so that equals have one vote each.

    Raises ``ConfigError`` where ``temperature`` is not positive.
    """

    temperature: float = 0.1

    def __post_init__(self) -> None:
        check("temperature", self.temperature, self.temperature > 0, "above 0")

    @property
    def name(self) -> str:
        return f"confident_{self.measure}{unless_usual(0.1, temperature=self.temperature)}"

    def weigh(self, values: Sequence[float], classes: Sequence[int]) -> list[float]:
        surest = max(values)
        return scaled([math.exp((each - surest) / self.temperature) for each in values])


@dataclass(frozen=True, slots=True)
class MostConfident(ByConfidence):
    """The surest leaf decides alone, the first of equals: best-of-N without a PRM."""

    @property
    def name(self) -> str:
        return f"most_confident_{self.measure}"

    def weigh(self, values: Sequence[float], classes: Sequence[int]) -> list[float]:
        return first_of_the_highest(values)


@dataclass(frozen=True, slots=True)
class TopConfident(ByConfidence):
    """The majority of the surest leaves, a share of ``keep`` and all who equal the last of them
    (DeepConf; Fu et al. 2025, arXiv 2508.15260, which filters by ``tail`` or ``lowest`` and keeps
    0.1 or 0.9 of several hundred chains).

    Raises ``ConfigError`` unless ``keep`` is above 0 and at most 1.
    """

    keep: float = 0.5

    def __post_init__(self) -> None:
        check("keep", self.keep, 0 < self.keep <= 1, "above 0 and at most at 1")

    @property
    def name(self) -> str:
        return f"top_confident_{self.measure}{unless_usual(0.5, keep=self.keep)}"

    def weigh(self, values: Sequence[float], classes: Sequence[int]) -> list[float]:
        ranked, kept = sorted(values), math.ceil(self.keep * len(values) - ROUNDING)
        return [float(len(values) - bisect_right(ranked, each) < kept) for each in values]


@dataclass(frozen=True, slots=True)
class Borda(ByConfidence):
    """A leaf weighs the number of leaves that are no surer than it, itself among them, to the
    ``power``: the Borda count of self-certainty (Kang et al. 2025, arXiv 2502.18581, §3.3). Only
    the order of the confidences counts. At 0 it is the majority; the larger, the more the surest
    decide.

    The weights are scaled to sum to the number of leaves. Raises ``ConfigError`` where ``power`` is
    negative.
    """

    power: float = 1.0

    def __post_init__(self) -> None:
        check("power", self.power, 0 <= self.power < math.inf, "at 0 or above")

    @property
    def name(self) -> str:
        return f"borda_{self.measure}{unless_usual(1.0, power=self.power)}"

    def weigh(self, values: Sequence[float], classes: Sequence[int]) -> list[float]:
        ranked, n = sorted(values), len(values)
        return scaled([float((bisect_right(ranked, each) / n) ** self.power) for each in values])


def scaled(weights: Sequence[float]) -> list[float]:
    """``weights`` scaled to sum to their number."""
    total = math.fsum(weights)
    return [len(weights) * each / total for each in weights]
