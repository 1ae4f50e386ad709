"""Does choosing pay? `strategy: auto` against every single fixed strategy, at equal total tokens.

On the embedded models and ``configs/compute-optimal.yaml``: three policies, a good and a poor PRM,
420 held-out problems. One run measures all strategies; predictor and profile are fitted on four
fifths of the problems and routed on the rest, in turn (cross-fitting), label-free. Tokens are those
of policy and PRM together, pilots included.

- ``auto_minus_best_fixed``: by pair, with the tokens of best-of-N for N = 4, 8, 16 and 32 as auto's
  budget, the mean over these budgets, with its 95 % paired bootstrap interval. The best fixed
  strategy may use what auto used, and is chosen on the other folds as auto is; ``in_hindsight`` has
  it chosen on the very problems. ``by_budget`` lists each.
- ``auto_minus_one_arm``: the same against the best one of auto's own arms for all problems alike,
  chosen on the other folds: votes that stop when settled are among these, and the paper's fixed
  strategies are not so. It tells routing by difficulty from stopping sample by sample.
- ``token_ratio_at_best_fixed``: tokens that auto takes to be as accurate as the best fixed strategy
  at N = 64, chosen on the other folds as auto is, over that one's (``ratio``); the same with it
  chosen on the very problems (``in_hindsight``); and to come so near to the latter that the paired
  interval holds no difference (``inside_interval``). ``most`` is what auto comes to within all of
  its tokens.
- ``oracle_gap_closed``: (auto - fixed) / (oracle - fixed), summed over pairs and budgets, with
  its bootstrap interval; the oracle knows each problem's true bin and chooses on the very problems,
  as the paper does (``in_hindsight``), or off the fold as auto does, so that it only knows the
  difficulty better (``off_fold``).
- ``confidence_minus_majority``: by policy, votes by its confidence less the majority of the same
  samples, and so at equal tokens, without a PRM: the mean over N = 4, 8, 16 and 32, with its 95 %
  paired bootstrap interval. Vote, measure and setting are chosen on the other folds;
  ``confidence_in_hindsight`` names the best one for each N, its accuracy and the majority's.
- ``pool_gain``: a budget that holds on average over problems against one that each must keep, at
  equal tokens, by the trials.
- ``pool_minus_equal``: by policy under the good PRM, one pool for all problems less the best single
  strategy that gives each of them the same, at equal totals, over the budgets of best-of-N
  (``pool_offline``); ``pool_minus_equal_by_budget`` lists each.
- ``pool_live``: run for real under the good PRM, one pool for all problems of a fold against a
  budget that each must keep (what best-of-8 and best-of-16 take), the pool's cap being what that
  took; and both against a budget that holds on average.
- ``resampling_inside``: of 20 cells, how many of the accuracies resampled for n = 4 and 16 lie in
  the 95 % interval of a direct run with another seed.
- ``small_vs_large``: the smallest policy with auto against the largest one's CoT, at the smallest
  budget that puts it above outside the interval, if any does, and at that of best-of-32, with the
  ratio of their inference FLOPs, policy and PRM, as if nothing had been in a prefix cache: in a run
  of many strategies one fills it for the other.
- ``across_models``: the choice of the model, see ``across_models.py``.
- ``live``: auto run for real on every fold with the profile of the others, at the tokens of
  best-of-16, beside what the cross-fitted trials foretold.

Prints a table and one JSON line. What is in ``--out`` already is not measured again.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from orchestrator.console.terminal import Terminal

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from orchestrator.config.reading import shipped_config
from orchestrator.config.run import load
from orchestrator.core.compute import inference_flops
from orchestrator.core.records import Record
from orchestrator.core.voting import VOTES
from orchestrator.optimal.profile import Use
from orchestrator.optimal.profiling.ballots import Drawn
from orchestrator.optimal.profiling.crossfit import RoutedResult, cross_fitted, oracle
from orchestrator.optimal.profiling.fitting import PILOTS
from orchestrator.optimal.profiling.measured import USED
from orchestrator.optimal.profiling.resampling import chance
from orchestrator.statistics import paired_bootstrap, wilson
from orchestrator.storage.store import read_records
from tests.benchmarks.across_models import across_models
from tests.benchmarks.confidence_votes import against_majority
from tests.benchmarks.fixed_strategies import best_in_hindsight, best_off_fold, of_auto
from tests.benchmarks.live_auto import Live, LiveRuns, by_itself, pooled
from tests.benchmarks.measured_pairs import Pair, interval, measure_all, pairs, rounded
from tests.benchmarks.pool_offline import pool_minus_equal

LADDER = (4, 8, 16, 32)
"""Budgets are what best-of-N takes at these N."""

CONFIG = "compute-optimal.yaml"

GOOD_PRM = "prm-qwen"


def against_fixed(pair: Pair) -> tuple[dict[str, Any], NDArray[np.float64]]:
    """Auto less the best fixed strategy, at each budget and over all of them; the oracle's gap; and
    by problem ``[p, 3]`` what is gained over the best fixed strategy by auto, by the oracle, and by
    one that only knows the difficulty."""
    budgets = [pair.budget(n) for n in LADDER]
    routed = cross_fitted(pair.trials, budgets, pilots=PILOTS)
    ideal = oracle(pair.trials, budgets)
    thirds = oracle(pair.trials, budgets, quantiles=True)
    ours, theirs, hindsight, best = [], [], [], []
    least = min(float(each.tokens.mean()) for each in pair.fixed)
    by_budget = {}
    for n, budget, auto, perfect in zip(LADDER, budgets, routed, ideal, strict=True):
        allowed = max(float(auto.tokens.mean()), least)  # what auto used
        fixed, picked = (
            best_off_fold(pair.fixed, allowed).right,
            best_in_hindsight(pair.fixed, allowed),
        )
        ours.append(auto.right)
        theirs.append(fixed)
        hindsight.append(picked.right)
        best.append(perfect.right)
        by_budget[str(n)] = {
            "budget": round(budget),
            "auto_tokens": round(float(auto.tokens.mean())),
            "auto": rounded(auto.right.mean()),
            "fixed": rounded(fixed.mean()),
            "fixed_in_hindsight": [picked.name, rounded(picked.right.mean())],
            "difference": interval(auto.right, fixed),
            "in_hindsight": interval(auto.right, picked.right),
            "oracle": rounded(perfect.right.mean()),
        }
    auto_, fixed_, seen, ideal_ = (
        np.mean(each, axis=0) for each in (ours, theirs, hindsight, best)
    )
    gap = float(ideal_.mean() - fixed_.mean())
    figures = {
        "difference": interval(auto_, fixed_),
        "in_hindsight": interval(auto_, seen),
        "oracle_gap": rounded(gap),
        "oracle_by_thirds_minus_absolute": interval(
            np.mean([each.right for each in thirds], axis=0), ideal_
        ),
        "gap_closed": rounded(float(auto_.mean() - fixed_.mean()) / gap) if gap > 0 else None,
        "by_budget": by_budget,
    }
    knowing = cross_fitted(pair.trials, budgets, pilots=PILOTS, knowing=True)
    known = np.mean([each.right for each in knowing], axis=0)
    return figures, np.stack([auto_, ideal_, known], axis=1) - fixed_[:, None]


def against_one_arm(pair: Pair) -> dict[str, Any]:
    """Auto less the best one of its own arms for all problems alike: what routing adds to knowing
    when to stop."""
    budgets = [pair.budget(n) for n in LADDER]
    alike = of_auto(pair.trials)
    routed = cross_fitted(pair.trials, budgets, pilots=PILOTS)
    theirs = [best_off_fold(alike, float(auto.tokens.mean())) for auto in routed]
    ours = np.mean([auto.right for auto in routed], axis=0)
    return {
        "difference": interval(ours, np.mean([each.right for each in theirs], axis=0)),
        "tokens": {
            str(n): [round(float(auto.tokens.mean())), round(float(each.tokens.mean()))]
            for n, auto, each in zip(LADDER, routed, theirs, strict=True)
        },
    }


def gap_closed(gains: Sequence[NDArray[np.float64]]) -> dict[str, list[float]]:
    """What auto gains over the best fixed strategy for what an oracle does, over all pairs, with
    its 95 % bootstrap interval over problems."""
    summed = np.sum(gains, axis=0)
    picked = np.random.default_rng(0).integers(len(summed), size=(10_000, len(summed)))
    mean, redrawn = summed.mean(axis=0), summed[picked].mean(axis=1)
    return {
        name: [
            rounded(mean[0] / mean[i]),
            *map(rounded, np.percentile(redrawn[:, 0] / redrawn[:, i], [2.5, 97.5])),
        ]
        for i, name in ((1, "in_hindsight"), (2, "off_fold"))
    }


def by_confidence(pairs: Sequence[Pair]) -> dict[str, dict[str, Any]]:
    """What votes by a policy's confidence gain over the majority; a policy has the same samples
    under each PRM."""
    by_policy = {pair.policy.name: pair.measured for pair in reversed(pairs)}
    found = {name: against_majority(each, LADDER) for name, each in by_policy.items()}
    known = {name: each for name, each in found.items() if each is not None}
    return {
        "confidence_minus_majority": {
            name: interval(ours, theirs) for name, (ours, theirs, _) in known.items()
        },
        "confidence_in_hindsight": {name: seen for name, (_, _, seen) in known.items()},
    }


def tokens_for_the_best_fixed(pair: Pair) -> dict[str, Any]:
    """What auto takes to be as accurate as the best fixed strategy at N = 64."""
    large = [each for each in pair.fixed if each.n == 64]
    best = best_in_hindsight(large, float("inf"))
    chosen = best_off_fold(large, float("inf"))
    most = float(best.tokens.mean())
    budgets = np.geomspace(pair.budget(4), most, 48).tolist()
    routed = cross_fitted(pair.trials, budgets, pilots=PILOTS)

    def cheapest(enough: Callable[[RoutedResult], bool], over: float) -> float | None:
        found = [float(each.tokens.mean()) for each in routed if enough(each)]
        return rounded(min(found) / over) if found else None

    def as_good_as(right: NDArray[np.float64]) -> Callable[[RoutedResult], bool]:
        return lambda each: bool(each.right.mean() >= right.mean())

    return {
        "best_fixed": [rounded(chosen.right.mean()), round(float(chosen.tokens.mean()))],
        "ratio": cheapest(as_good_as(chosen.right), float(chosen.tokens.mean())),
        "best_fixed_in_hindsight": [best.name, rounded(best.right.mean()), round(most)],
        "in_hindsight": cheapest(as_good_as(best.right), most),
        "inside_interval": cheapest(
            lambda each: paired_bootstrap(each.right.tolist(), best.right.tolist()).high >= 0, most
        ),
        "most": rounded(max(each.right.mean() for each in routed)),
    }


def pool_gain(pair: Pair) -> dict[str, Any]:
    """A budget on average against one for each problem, at equal tokens."""
    budgets = np.geomspace(pair.budget(4), pair.budget(64), 24).tolist()
    pooled = cross_fitted(pair.trials, budgets, pilots=PILOTS)
    each = cross_fitted(pair.trials, budgets, pilots=PILOTS, spread="each")
    gains, rivals = [], []
    for budget in (pair.budget(n) for n in LADDER):
        ours = max(
            (one for one in pooled if one.tokens.mean() <= budget),
            key=lambda one: one.tokens.mean(),
            default=pooled[0],
        )
        tokens = ours.tokens.mean()
        affordable = [one for one in each if one.tokens.mean() <= tokens] or [
            min(each, key=lambda one: one.tokens.mean())
        ]
        gains.append(ours.right)
        rivals.append(max(affordable, key=lambda one: one.right.mean()).right)
    return {"difference": interval(np.mean(gains, axis=0), np.mean(rivals, axis=0))}


def against_equal_budgets(pairs: Sequence[Pair]) -> dict[str, dict[str, Any]]:
    """A pool against equal budgets, by policy under the good PRM."""
    found = {
        pair.policy.name: pool_minus_equal(pair, LADDER)
        for pair in pairs
        if pair.prm.name == GOOD_PRM
    }
    return {
        "pool_minus_equal": {name: each["difference"] for name, each in found.items()},
        "pool_minus_equal_by_budget": {name: each["by_budget"] for name, each in found.items()},
    }


def live_outcome(pair: Pair, live: Live) -> dict[str, Any]:
    """What came of routing at the tokens of best-of-16, beside what the trials foretold."""
    (foretold,) = cross_fitted(pair.trials, [pair.budget(16)], pilots=PILOTS)
    fixed = best_off_fold(pair.fixed, float(live.tokens.mean())).right
    return {
        **came_to(live),
        "foretold": rounded(foretold.right.mean()),
        "foretold_tokens": round(float(foretold.tokens.mean())),
        "minus_best_fixed": interval(live.right, fixed),
    }


def pool_live(runs: LiveRuns, pairs: Sequence[Pair]) -> dict[str, Any]:
    """A pool for each fold against equal budgets for each problem, at the tokens of the latter."""
    good = [pair.name for pair in pairs if pair.prm.name == GOOD_PRM]
    found: dict[str, dict[str, Any]] = {name: {} for name in good}
    for n in (8, 16):
        each = runs.run(f"each-{n}", by_itself(n, "each"), good)
        average = runs.run(f"average-{n}", by_itself(n), good)
        pool = runs.run(f"pool-{n}", pooled(each), good)
        for name in good:
            found[name][str(n)] = {
                "each": came_to(each[name]),
                "average": came_to(average[name]),
                "pool": came_to(pool[name]),
                "pool_minus_each": interval(pool[name].right, each[name].right),
                "pool_minus_average": interval(pool[name].right, average[name].right),
            }
    return found


def came_to(live: Live) -> dict[str, float]:
    return {"accuracy": rounded(live.right.mean()), "tokens": round(float(live.tokens.mean()))}


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


def show(found: dict[str, Any], console: Terminal) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in (
        "pair",
        "tokens",
        "auto %",
        "best fixed %",
        "difference",
        "95 % interval",
        "oracle %",
    ):
        table.add_column(title, justify="left" if title == "pair" else "right")
    for pair, told in found["auto_minus_best_fixed"].items():
        for cell in told["by_budget"].values():
            difference, low, high = cell["difference"]
            table.add_row(
                pair,
                f"{cell['auto_tokens']:,}",
                f"{100 * cell['auto']:.1f}",
                f"{100 * cell['fixed']:.1f}",
                f"{100 * difference:+.1f}",
                f"[{100 * low:+.1f}, {100 * high:+.1f}]",
                f"{100 * cell['oracle']:.1f}",
            )
    console.print(table)


DIRECT = [
    {
        "policy": ["policy-160k", "policy-430k"],
        "prm": ["prm-qwen", "prm-shepherd"],
        "strategy": "best_of_n",
        "n": [4, 16],
    }
]
"""Samples drawn anew, by another seed, in the numbers that are resampled."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs/compute-optimal"))
    parser.add_argument("--no-live", action="store_true", help="without running auto for real")
    options = parser.parse_args()
    console = Terminal(stderr=True, soft_wrap=True)
    config = load(shipped_config(CONFIG))
    measure_all(config, options.out, console)
    again = load(shipped_config(CONFIG), ["seed=1", f"cells={json.dumps(DIRECT)}"])
    measure_all(again, options.out / "direct", console)
    records = read_records(options.out)
    found = asyncio.run(pairs(records))
    compared = {pair.name: against_fixed(pair) for pair in found}
    figures: dict[str, Any] = {
        "problems": len(found[0].trials.problems),
        "auto_minus_best_fixed": {name: told for name, (told, _) in compared.items()},
        "auto_minus_one_arm": {pair.name: against_one_arm(pair) for pair in found},
        "oracle_gap_closed": gap_closed([gains for _, gains in compared.values()]),
        "token_ratio_at_best_fixed": {pair.name: tokens_for_the_best_fixed(pair) for pair in found},
        **by_confidence(found),
        "pool_gain": {pair.name: pool_gain(pair) for pair in found},
        **against_equal_budgets(found),
        "resampling_inside": resampling(found, read_records(options.out / "direct")),
        "small_vs_large": small_against_large(found, records),
        "across_models": asyncio.run(across_models(records)),
    }
    if not options.no_live:
        runs = LiveRuns(config, found, options.out / "live", console)
        live = runs.run("average-16", by_itself(16))
        figures["live"] = {pair.name: live_outcome(pair, live[pair.name]) for pair in found}
        figures["pool_live"] = pool_live(runs, found)
    show(figures, console)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
