"""Sums of what records used."""

from collections.abc import Collection, Mapping

from orchestrator.core.compute import Flops, search_flops
from orchestrator.core.records import Record

TOKENS = ("policy_tokens", "prompt_tokens", "cached_tokens", "prm_tokens", "prm_cached_tokens")
"""The kinds of tokens that FLOPs are computed from."""


def tokens_of(records: Collection[Record]) -> dict[str, int]:
    """Tokens by kind, summed over the records."""
    return {kind: sum(getattr(record, kind) for record in records) for kind in TOKENS}


def flops_of(sample: Record, use: Mapping[str, int]) -> Flops | None:
    """FLOPs of tokens by kind; None unless the parameters of policy and PRM are known."""
    if sample.policy_params is None or (sample.prm and sample.prm_params is None):
        return None
    return search_flops(sample.policy_params, sample.prm_params, **use)


def used(records: Collection[Record], unit: str) -> float | None:
    """What the records of one cell used together, in a budget's unit.

    None where it is unknown, and for seconds, which problems running side by side share.
    """
    use = tokens_of(records)
    if unit == "tokens":
        return use["policy_tokens"] + use["prm_tokens"]
    if unit == "cost":
        return sum(record.cost for record in records)
    if unit == "flops":
        flops = flops_of(next(iter(records)), use)
        return None if flops is None else flops.total
    return None
