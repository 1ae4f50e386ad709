"""Does the choice of the model pay? Plans across models against single policies, in FLOPs.

All numbers are cross-fitted, FLOPs are those of policies and PRMs:

- ``flops_at_largest_greedy``: the FLOPs at which plans are as accurate as the largest policy's
  greedy answer, over that answer's (``ratio``; None where no plan is). Between two plans a share of
  the problems goes by each, as runs do it; ``one_plan`` is the ratio of the next plan alone, and
  ``inside_interval`` the ratio at which the paired interval holds no difference.
- ``flops_at_best_fixed``: the same for the best fixed strategy of any policy at N = 64, chosen on
  the other folds.
- ``above_single_auto``: plans less the best auto of any single policy and PRM at equal FLOPs, which
  is chosen on the very problems; both mix two of their plans. The mean over the FLOPs of all plans
  of both, with its 95 % paired interval.
- ``front``: accuracy and FLOPs of each plan, with the shares of the policies that answer.
- ``with_cache``: all of these where tokens that a prefix cache held take no FLOPs.
- ``first_steps``: what a look at the question alone and searches without pilots add, see
  ``first_steps.py``.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.core.equivalence import comparing
from orchestrator.core.records import Record
from orchestrator.optimal.cascade.across import Measurements, autos, is_fixed, measurements
from orchestrator.optimal.cascade.amounts import Amounts
from orchestrator.optimal.cascade.front import FLOPS_WITH_CACHE, FrontPoint, fronts
from orchestrator.optimal.cascade.hull import Between, Reached, at_accuracy, at_use
from orchestrator.optimal.cascade.joint import JointTrials
from orchestrator.optimal.cascade.plan import ModelArm
from orchestrator.optimal.profiling.crossfit import folds
from orchestrator.statistics import paired_bootstrap
from orchestrator.tasks.math.task import MathTask
from tests.benchmarks.optimal.first_steps import first_steps

LARGE_N = 64

PRICES = 24

HALVINGS = 8
"""Of a share between two plans."""


async def across_models(records: Sequence[Record]) -> dict[str, Any]:
    async with MathTask() as task:
        measured = await measurements(records, comparing(task, ()), {})
    cached = {**measured.used, "flops": measured.used[FLOPS_WITH_CACHE]}
    return {
        **_figures(measured, measured.used),
        "with_cache": _figures(measured, cached),
        "first_steps": first_steps(measured),
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
    return each.arm.n == LARGE_N and is_fixed(each)


def _at(
    points: Sequence[FrontPoint], right: NDArray[np.float64], flops: NDArray[np.float64]
) -> dict[str, Any]:
    """What the plans take to be ``right`` as often, over its ``flops``."""
    goal, over = float(np.nanmean(right)), float(np.nanmean(flops))
    found = at_accuracy(_reached(points), goal)
    ratio = one_plan = None
    if found is not None:
        ratio = _rounded(_flops(points, found) / over)
        one_plan = _rounded(_flops(points, _at_point(found.dear)) / over)
    return {
        "goal": _rounded(goal),
        "flops": float(f"{over:.4g}"),
        "ratio": ratio,
        "one_plan": one_plan,
        "inside_interval": _inside(points, right, over),
        "most": _rounded(max(each.right.mean() for each in points)),
    }


def _inside(points: Sequence[FrontPoint], right: NDArray[np.float64], over: float) -> float | None:
    """The ratio at which the paired interval of the difference holds none."""

    def is_inside(at: Between) -> bool:
        return paired_bootstrap(_right(points, at).tolist(), right.tolist()).high >= 0

    inside = [i for i in range(len(points)) if is_inside(_at_point(i))]
    if not inside:
        return None
    dear = inside[0]
    low, high = 0.0, 1.0
    for _ in range(HALVINGS if dear else 0):
        middle = (low + high) / 2
        low, high = (low, middle) if is_inside(Between(dear - 1, dear, middle)) else (middle, high)
    return _rounded(_flops(points, Between(max(0, dear - 1), dear, high)) / over)


def _above(
    points: Sequence[FrontPoint], alone: Iterable[Sequence[FrontPoint]]
) -> list[float] | None:
    single = [(own, _reached(own)) for own in alone]
    reached = _reached(points)
    ours, theirs = [], []
    for allowed in sorted(
        {each.use for own in (reached, *(one for _, one in single)) for each in own}
    ):
        mine = at_use(reached, allowed)
        affordable = [_right(own, at) for own, one in single if (at := at_use(one, allowed))]
        if mine and affordable:
            ours.append(_right(points, mine))
            theirs.append(max(affordable, key=lambda each: float(each.mean())))
    if not ours:
        return None
    found = paired_bootstrap(np.mean(ours, axis=0).tolist(), np.mean(theirs, axis=0).tolist())
    return [_rounded(each) for each in found]


def _reached(points: Sequence[FrontPoint]) -> list[Reached]:
    return [each.reached("flops") for each in points]


def _at_point(number: int) -> Between:
    return Between(number, number, 1.0)


def _right(points: Sequence[FrontPoint], at: Between) -> NDArray[np.float64]:
    """How often right by problem, where a share of the problems goes by each of two plans."""
    return (1 - at.share) * points[at.cheap].right + at.share * points[at.dear].right


def _flops(points: Sequence[FrontPoint], at: Between) -> float:
    cheap, dear = (float(points[i].used["flops"].mean()) for i in (at.cheap, at.dear))
    return cheap + at.share * (dear - cheap)


def _rounded(number: Any) -> float:
    return round(float(number), 4)
