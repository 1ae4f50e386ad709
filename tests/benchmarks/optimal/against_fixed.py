"""Auto against single fixed strategies, and against the best one of its own arms."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.optimal.profiling.crossfit import RoutedResult, cross_fitted, oracle
from orchestrator.optimal.profiling.fitting import PILOTS
from orchestrator.statistics import paired_bootstrap
from tests.benchmarks.optimal.fixed_strategies import best_in_hindsight, best_off_fold, of_auto
from tests.benchmarks.optimal.measured_pairs import LADDER, Pair, interval, rounded


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
