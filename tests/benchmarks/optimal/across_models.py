"""Does the choice of the model pay? Plans across models against single policies, in FLOPs.

All numbers are cross-fitted, FLOPs are those of policies and PRMs:

- ``flops_at_largest_greedy``: the FLOPs at which plans are as accurate as the largest policy's
  greedy answer, over that answer's (``ratio``; None where no plan is). Between two plans a share of
  the problems may go to each (``mixed``); ``inside_interval`` is the ratio at which the paired
  interval holds no difference.
- ``flops_at_best_fixed``: the same for the best fixed strategy of any policy at N = 64, chosen on
  the other folds.
- ``above_single_auto``: plans less the best auto of any single policy and PRM that uses as much at
  most, chosen on the very problems, mean over the plans' front; with its 95 % paired interval.
- ``front``: accuracy and FLOPs of each plan, with the shares of the policies that answer.
- ``with_cache``: all of these where tokens that a prefix cache held take no FLOPs.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.core.equivalence import comparing
from orchestrator.core.records import Record
from orchestrator.optimal.cascade.across import Measurements, autos, measurements
from orchestrator.optimal.cascade.amounts import Amounts
from orchestrator.optimal.cascade.front import FLOPS_WITH_CACHE, FrontPoint, fronts
from orchestrator.optimal.cascade.joint import JointTrials
from orchestrator.optimal.cascade.plan import ModelArm
from orchestrator.optimal.profiling.crossfit import folds
from orchestrator.statistics import paired_bootstrap
from orchestrator.tasks.math.task import MathTask

LARGE_N = 64

PRICES = 24


async def across_models(records: Sequence[Record]) -> dict[str, Any]:
    async with MathTask() as task:
        measured = await measurements(records, comparing(task, ()), {})
    cached = {**measured.used, "flops": measured.used[FLOPS_WITH_CACHE]}
    return {
        **_figures(measured, measured.used),
        "with_cache": _figures(measured, cached),
    }


def _figures(measured: Measurements, used: Mapping[str, Amounts]) -> dict[str, Any]:
    trials, spent = measured.trials, used["flops"]
    points = fronts(trials, ["flops"], used, prices=PRICES)["flops"]
    largest = max(
        (arm.policy for arm in trials.arms), key=lambda name: measured.models[name].parameters or 0
    )
    (greedy,) = [
        a
        for a, each in enumerate(trials.arms)
        if each.arm.strategy == "cot" and each.policy == largest
    ]
    right, flops = _by_problem(trials, spent, greedy)
    fixed = _best_fixed(trials, spent)
    return {
        "flops_at_largest_greedy": _at(points, right, flops),
        "flops_at_best_fixed": _at(points, *fixed),
        "above_single_auto": _above(points, autos(trials, used, "flops").values()),
        "front": [
            {
                "accuracy": _rounded(point.right.mean()),
                "flops": float(f"{point.used['flops'].mean():.4g}"),
                "answers": {name: _rounded(share) for name, share in point.answers.items()},
            }
            for point in points
        ],
    }


def _by_problem(
    trials: JointTrials, spent: Amounts, arm: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return (
        trials.right[:, :, arm].mean(axis=1).astype(float),
        spent.arms[:, :, arm].mean(axis=1),
    )


def _best_fixed(
    trials: JointTrials, spent: Amounts
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Right and FLOPs by problem of the best strategy at N = 64, chosen on the other folds."""
    tried = [a for a, each in enumerate(trials.arms) if _is_fixed(each)]
    found = [_by_problem(trials, spent, a) for a in tried]
    right, flops = np.empty(len(trials.problems)), np.empty(len(trials.problems))
    for held_out in folds(len(trials.problems)):
        rest = sorted({*range(len(right))} - {*held_out})
        best, took = max(found, key=lambda each: float(np.nanmean(each[0][rest])))
        right[held_out], flops[held_out] = best[held_out], took[held_out]
    return right, flops


def _is_fixed(each: ModelArm) -> bool:
    return each.arm.n == LARGE_N and each.arm.stop is None and not each.arm.has_fallback


def _at(
    points: Sequence[FrontPoint], right: NDArray[np.float64], flops: NDArray[np.float64]
) -> dict[str, Any]:
    """What the plans take to be ``right`` as often, over its ``flops``."""
    goal, over = float(np.nanmean(right)), float(np.nanmean(flops))
    reached = [(float(each.right.mean()), float(each.used["flops"].mean())) for each in points]
    enough = [i for i, (accuracy, _) in enumerate(reached) if accuracy >= goal]
    ratio = mixed = None
    if enough:
        accuracy, most = reached[enough[0]]
        ratio = mixed = most / over
        if enough[0]:
            below, least = reached[enough[0] - 1]
            share = (goal - below) / max(1e-12, accuracy - below)
            mixed = (least + share * (most - least)) / over
    return {
        "goal": _rounded(goal),
        "flops": float(f"{over:.4g}"),
        "ratio": None if ratio is None else _rounded(ratio),
        "mixed": None if mixed is None else _rounded(mixed),
        "inside_interval": _inside(points, right, over),
        "most": _rounded(max(accuracy for accuracy, _ in reached)),
    }


def _inside(points: Sequence[FrontPoint], right: NDArray[np.float64], over: float) -> float | None:
    """The ratio at which the paired interval of the difference holds none."""
    for point in points:
        if paired_bootstrap(point.right.tolist(), right.tolist()).high >= 0:
            return _rounded(point.used["flops"].mean() / over)
    return None


def _above(points: Sequence[FrontPoint], alone: Any) -> list[float] | None:
    single = [point for own in alone for point in own]
    ours, theirs = [], []
    for point in points:
        allowed = point.used["flops"].mean()
        affordable = [each for each in single if each.used["flops"].mean() <= allowed]
        if affordable:
            ours.append(point.right)
            theirs.append(max(affordable, key=lambda each: float(each.right.mean())).right)
    if not ours:
        return None
    found = paired_bootstrap(np.mean(ours, axis=0).tolist(), np.mean(theirs, axis=0).tolist())
    return [_rounded(each) for each in found]


def _rounded(number: Any) -> float:
    return round(float(number), 4)
