"""Numbers that say how sure they are."""

from dataclasses import dataclass

from orchestrator.statistics import wilson


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number with its 95 % interval and the samples it rests on."""

    value: float
    low: float
    high: float
    samples: int


def share(hits: int, total: int) -> Estimate | None:
    """``hits / total`` with its Wilson interval; None of nothing."""
    if not total:
        return None
    low, high = wilson(hits, total)
    return Estimate(value=hits / total, low=low, high=high, samples=total)
