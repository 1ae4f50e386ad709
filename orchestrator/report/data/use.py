"""Sums of what records used."""

from collections.abc import Collection

from orchestrator.core.compute import total_flops
from orchestrator.core.records import Record

TOKENS = ("policy_tokens", "prompt_tokens", "cached_tokens", "prm_tokens", "prm_cached_tokens")
"""The kinds of tokens that records count."""


def tokens_of(records: Collection[Record]) -> dict[str, int]:
    """Tokens by kind, summed over the records."""
    return {kind: sum(getattr(record, kind) for record in records) for kind in TOKENS}


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
        flops = total_flops(record.flops for record in records)
        return None if flops is None else flops.total
    return None
