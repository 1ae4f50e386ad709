"""How hard the problems are for each policy, by its own samples."""

from collections import Counter
from collections.abc import Sequence

from orchestrator.core.difficulty import BINS, Bin, difficulty
from tests.benchmarks.optimal.measured_pairs import Pair, rounded


def spectrum(pairs: Sequence[Pair]) -> dict[str, dict[Bin, float]]:
    """The share of problems in each bin of pass@1, by policy, which has the same samples under each
    PRM."""
    found: dict[str, dict[Bin, float]] = {}
    for pair in pairs:
        rates = [
            sum(leaf.right for leaf in each.samples.leaves) / len(each.samples.leaves)
            for each in pair.measured
        ]
        bins = Counter(map(difficulty, rates))
        found[pair.policy.name] = {bin: rounded(bins[bin] / len(rates)) for bin in BINS}
    return found
