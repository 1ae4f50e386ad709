"""The smallest policy with auto against the greedy answer of the largest."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from orchestrator.core.compute import inference_flops
from orchestrator.core.records import Record
from orchestrator.optimal.profile import Use
from orchestrator.optimal.profiling.crossfit import cross_fitted
from orchestrator.optimal.profiling.fitting import PILOTS
from orchestrator.optimal.profiling.measured import USED
from tests.benchmarks.optimal.measured_pairs import Pair, interval, rounded


def small_against_large(pairs: Sequence[Pair], records: Sequence[Record]) -> dict[str, Any]:
    """The smallest policy with auto against the largest one's greedy answer: at the budget from
    which on it is above outside the interval, and at that of best-of-32."""
    smallest = min(pairs, key=lambda pair: pair.policy.parameters or 0).policy.name
    large = [each for each in records if each.strategy == "cot"]
    size = max(each.policy_params or 0 for each in large)
    greedy = {each.problem: each for each in large if each.policy_params == size}
    flops = np.mean(
        [
            inference_flops(
                size, prefill_tokens=each.prompt_tokens, decode_tokens=each.policy_tokens
            )
            for each in greedy.values()
        ]
    )
    told = {}
    for pair in (each for each in pairs if each.policy.name == smallest):
        theirs = np.array(
            [bool(greedy[each.problem].verdicts["majority"].correct) for each in pair.measured],
            dtype=float,
        )
        budgets = np.geomspace(pair.budget(4), pair.budget(32), 16).tolist()
        shown = []
        for budget, routed in zip(
            budgets, cross_fitted(pair.trials, budgets, pilots=PILOTS), strict=True
        ):
            mean = dict(zip(USED, routed.used.mean(axis=0).tolist(), strict=True))
            use = Use(**mean | {"cached_tokens": 0.0, "prm_cached_tokens": 0.0})
            shown.append(
                {
                    "budget": round(budget),
                    "auto": rounded(routed.right.mean()),
                    "large_cot": rounded(theirs.mean()),
                    "difference": interval(routed.right, theirs),
                    "flops_ratio": rounded(use.flops(pair.policy, pair.prm) / float(flops)),
                }
            )
        above = next((each for each in shown if each["difference"][1] > 0), None)
        told[pair.name] = {"above_from": above, "at_most": shown[-1]}
    return told
