"""What records used, added up."""

from collections.abc import Collection, Mapping

from orchestrator.core.compute import Flops, search_flops
from orchestrator.core.records import Record

TOKENS = ("policy_tokens", "prompt_tokens", "cached_tokens", "prm_tokens", "prm_cached_tokens")
"""The kinds of tokens that computing is counted by."""


def tokens_of(records: Collection[Record]) -> dict[str, int]:
    """By kind."""
    return {kind: sum(getattr(record, kind) for record in records) for kind in TOKENS}


def flops_of(sample: Record, use: Mapping[str, int]) -> Flops | None:
    """Of tokens by kind; None where the parameters of a record's policy or PRM are not known."""
    if sample.policy_params is None or (sample.prm and sample.prm_params is None):
        return None
    return search_flops(sample.policy_params, sample.prm_params, **use)


def used(records: Collection[Record], unit: str) -> float | None:
    """What records of one cell used together, in a budget's unit. None in seconds, which those that
    run side by side share, and where it is not known."""
    use = tokens_of(records)
    if unit == "tokens":
        return use["policy_tokens"] + use["prm_tokens"]
    if unit == "cost":
        return sum(record.cost for record in records)
    if unit == "flops":
        flops = flops_of(next(iter(records)), use)
        return None if flops is None else flops.total
    return None
