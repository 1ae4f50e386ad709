"""What was measured of one problem: the solutions it was given, and what they used."""

from collections.abc import Mapping
from dataclasses import dataclass

USED = (
    "policy_tokens", "prompt_tokens", "cached_tokens", "prm_tokens", "prm_cached_tokens", "cost",
    "seconds",
)  # fmt: skip
"""The fields of a record that count what an arm uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """One solution: what votes and predictors read of it."""

    answer: int | None
    right: bool
    scores: tuple[float, ...]
    tokens: int
    text: str
    logprob: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """What came of one strategy on one problem; ``used`` is in the order of ``USED``. With
    ``one_per_request`` each sample paid for a prompt of its own."""

    leaves: tuple[Leaf, ...]
    used: tuple[float, ...]
    one_per_request: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One problem: its greedy solution, its independent samples, and what came of the tree searches
    it went through, by their cells."""

    problem: str
    greedy: Searched
    samples: Searched
    trees: Mapping[str, Searched]
