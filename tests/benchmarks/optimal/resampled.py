"""Accuracies resampled from many samples, against runs that drew so many."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from orchestrator.core.records import Record
from orchestrator.core.voting import VOTES
from orchestrator.optimal.profiling.ballots import Drawn
from orchestrator.optimal.profiling.resampling import chance
from orchestrator.statistics import paired_bootstrap, wilson
from tests.benchmarks.optimal.measured_pairs import Pair, rounded

DIRECT = [
    {
        "policy": ["policy-160k", "policy-430k"],
        "prm": ["prm-qwen", "prm-shepherd"],
        "strategy": "best_of_n",
        "n": [4, 16],
    }
]
"""Samples drawn anew, by another seed, in the numbers that are resampled."""


def resampling(pairs: Sequence[Pair], direct: Sequence[Record]) -> dict[str, Any]:
    """Accuracies at n = 4 and 16 from many samples, against runs that drew so many."""
    cells, seen = [], set()
    for pair in pairs:
        samples = {each.problem: Drawn.of(each.samples.leaves) for each in pair.measured}
        for n in (4, 16):
            found = [
                each
                for each in direct
                if (each.policy, each.prm, each.n) == (pair.policy.name, pair.prm.name, n)
                and each.problem in samples
            ]
            for vote in ("majority", "weighted_last", "max_last"):
                key = (pair.policy.name, pair.prm.name if vote != "majority" else None, n, vote)
                if not found or key in seen:
                    continue
                seen.add(key)
                foretold = np.array(
                    [chance(samples[each.problem], VOTES[vote], n) for each in found]
                )
                right = [bool(each.verdicts[vote].correct) for each in found]
                low, high = wilson(sum(right), len(right))
                apart = paired_bootstrap(right, foretold.tolist())
                cells.append(
                    {
                        "cell": [str(each) for each in key],
                        "resampled": rounded(foretold.mean()),
                        "direct": rounded(np.mean(right)),
                        "inside": bool(low <= foretold.mean() <= high),
                        "inside_paired": bool(apart.low <= 0 <= apart.high),
                    }
                )
    return {
        "cells": len(cells),
        "inside": sum(cell["inside"] for cell in cells),
        "inside_paired": sum(cell["inside_paired"] for cell in cells),
        "outside": [cell for cell in cells if not cell["inside_paired"]],
    }
