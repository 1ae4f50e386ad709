"""Computing in FLOPs, as the paper counts it (Table 4; Kaplan et al. 2020)."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Flops:
    """What inference computed: the policy's prompts, what it generated, and what its PRM read."""

    policy_prefill: float
    policy_decode: float
    prm: float

    @property
    def total(self) -> float:
        return self.policy_prefill + self.policy_decode + self.prm

    def __add__(self, other: "Flops") -> "Flops":
        return Flops(
            policy_prefill=self.policy_prefill + other.policy_prefill,
            policy_decode=self.policy_decode + other.policy_decode,
            prm=self.prm + other.prm,
        )


NO_FLOPS = Flops(policy_prefill=0.0, policy_decode=0.0, prm=0.0)


def total_flops(parts: Iterable[Flops | None]) -> Flops | None:
    """The sum of ``parts``, of several models or problems; None where one of them is not known."""
    total = NO_FLOPS
    for part in parts:
        if part is None:
            return None
        total += part
    return total


@dataclass(frozen=True, slots=True, kw_only=True)
class TotalFlops:
    """A policy's pre-training beside what inference took: the paper's Table 4."""

    pretraining: float
    inference: float

    @property
    def total(self) -> float:
        return self.pretraining + self.inference


def inference_flops(parameters: int, *, prefill_tokens: float, decode_tokens: float) -> float:
    """A forward pass takes two operations a parameter and token, whether the token is read or
    written; ``parameters`` are the active ones. Tokens that a prefix cache held take none."""
    return 2.0 * parameters * (prefill_tokens + decode_tokens)


def search_flops(
    policy: int,
    prm: int | None,
    *,
    policy_tokens: float,
    prompt_tokens: float,
    cached_tokens: float,
    prm_tokens: float,
    prm_cached_tokens: float,
) -> Flops:
    """FLOPs of a search, from the parameters of its policy and PRM (None: it has none) and its
    tokens, counted as records count them."""
    read = prompt_tokens - cached_tokens
    scored = prm_tokens - prm_cached_tokens
    return Flops(
        policy_prefill=inference_flops(policy, prefill_tokens=read, decode_tokens=0),
        policy_decode=inference_flops(policy, prefill_tokens=0, decode_tokens=policy_tokens),
        prm=inference_flops(prm or 0, prefill_tokens=scored, decode_tokens=0),
    )


def training_flops(parameters: int, tokens: float) -> float:
    """Pre-training: six operations a parameter and token."""
    return 6.0 * parameters * tokens
