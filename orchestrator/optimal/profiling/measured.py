"""The measurements of one problem: its solutions, and what they used."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.core.confidence import Confidence
from orchestrator.optimal.difficulty.evidence import Pilot
from orchestrator.optimal.profile import Use

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

USED = (
    "policy_tokens", "prompt_tokens", "cached_tokens", "prm_tokens", "prm_cached_tokens", "cost",
    "seconds",
)  # fmt: skip
"""The fields of a record that count what an arm uses."""


def use_of(used: "NDArray[np.float64]") -> Use:
    """What was ``used``, in the order of ``USED``."""
    return Use(**dict(zip(USED, map(float, used), strict=True)))


def tokens(used: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Tokens of policy and PRM together. The last axis of ``used`` is ``USED``."""
    found: NDArray[np.float64] = (
        used[..., USED.index("policy_tokens")] + used[..., USED.index("prm_tokens")]
    )
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """One solution, as votes and predictors see it."""

    answer: int | None
    right: bool
    scores: tuple[float, ...]
    tokens: int
    text: str
    confidence: Confidence | None = None
    question_logprob: float | None = None


def pilot(leaf: Leaf) -> Pilot:
    """What a predictor reads of a solution."""
    return Pilot(
        answer=leaf.answer,
        scores=leaf.scores,
        tokens=leaf.tokens,
        confidence=leaf.confidence,
        question_logprob=leaf.question_logprob,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """The result of one strategy on one problem. ``used`` is in the order of ``USED``; with
    ``one_per_request`` it includes a prompt for each sample."""

    leaves: tuple[Leaf, ...]
    used: tuple[float, ...]
    one_per_request: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One problem: its greedy solution, its independent samples, and the results of the tree
    searches that ran on it, by cell. ``characters`` is the length of its question, 0 if unknown."""

    problem: str
    greedy: Searched
    samples: Searched
    trees: Mapping[str, Searched]
    characters: int = 0
