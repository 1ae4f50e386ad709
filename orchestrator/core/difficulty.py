"""How hard a problem is for a policy: its pass@1, and the bins of it (paper §3.2)."""

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from orchestrator.core.records import LeafRecord, Record

SAMPLING = ("majority", "best_of_n", "cot")
"""Strategies that draw whole solutions from the problem alone."""

Bin = Literal["easy", "medium", "hard"]
BINS: tuple[Bin, ...] = get_args(Bin)

EASY_FROM = 0.5
MEDIUM_FROM = 0.1


def independent_draws(record: Record) -> int:
    """How many samples of the policy a record's strategy draws of each problem that are independent
    of each other and of their answers; 0 for greedy solutions and guided searches.

    Of sampling that may stop early these are the first batch. What is drawn after it depends on the
    answers before: a mean over such samples leans towards the answers that end the sampling.
    """
    if record.strategy not in SAMPLING or record.settings.get("temperature") == 0:
        return 0
    stop = record.settings.get("stop")
    return min(record.n, int(stop["batch"])) if isinstance(stop, Mapping) else record.n


def independent_samples(record: Record) -> list[LeafRecord]:
    """The leaves of a record that are independent samples of the policy: pass@1 is their mean."""
    if not independent_draws(record):
        return []
    if record.settings.get("stop") is None:
        return list(record.leaves)
    # the first batch grows from the root; later ones, and a tree search that follows, from forks
    return [leaf for leaf in record.leaves if len(leaf.path) == 1]


def pass_at_1(samples: Sequence[bool]) -> float:
    """The unbiased estimate of pass@1 from independent samples (Chen et al. 2021): their mean."""
    if not samples:
        raise ValueError("pass@1 needs at least one sample")
    return sum(samples) / len(samples)


def difficulty(rate: float) -> Bin:
    """The paper's bin of a problem, by a policy's absolute pass@1 on it.

    Easy from 50 %, medium from 10 %, hard below. Absolute bins rather than quantiles, because a
    strong policy has few hard problems (paper §3.2).
    """
    if rate >= EASY_FROM:
        return "easy"
    return "medium" if rate >= MEDIUM_FROM else "hard"


def by_quantiles(rates: Sequence[float]) -> list[Bin]:
    """Each problem's bin where the bins are the thirds of these problems, as Snell et al. 2024
    (§3.2) have them, from the highest pass@1 down; for comparison with the absolute ones."""
    order = sorted(range(len(rates)), key=lambda i: (-rates[i], i))
    found: list[Bin] = ["easy"] * len(rates)
    for rank, i in enumerate(order):
        found[i] = BINS[rank * len(BINS) // len(rates)]
    return found
