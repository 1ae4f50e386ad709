"""Numbers with their uncertainty."""

from dataclasses import dataclass

from orchestrator.statistics import wilson


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number with its 95 % interval and its number of samples."""

    value: float
    low: float
    high: float
    samples: int


def share(hits: int, total: int) -> Estimate | None:
    """``hits / total`` with its Wilson interval; None if ``total`` is 0."""
    if not total:
        return None
    low, high = wilson(hits, total)
    return Estimate(value=hits / total, low=low, high=high, samples=total)
