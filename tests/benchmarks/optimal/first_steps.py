"""Do plans gain by a look at the question alone, and by tree searches without pilots?

Plans that may do so (``question``, ``direct``, ``both``) less plans that may do neither, at equal
use: tokens of a policy under a PRM, FLOPs across models. Both are cross-fitted and mix two of their
plans; the mean over the use of all plans of both, with its 95 % paired interval.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from orchestrator.optimal.cascade.across import Measurements
from orchestrator.optimal.cascade.amounts import Amounts
from orchestrator.optimal.cascade.front import FrontPoint, fronts, only
from orchestrator.optimal.cascade.hull import at_use
from orchestrator.optimal.cascade.joint import JointTrials
from orchestrator.optimal.profile import Unit
from orchestrator.statistics import paired_bootstrap

MAY = {"question": (True, False), "direct": (False, True), "both": (True, True)}
"""Whether plans may look at the question alone, and whether they may search without pilots."""


def first_steps(measured: Measurements) -> dict[str, dict[str, list[float]]]:
    trials, used = measured.trials, measured.used
    found = {"across": _gains(trials, used, "flops")}
    for policy, prm in dict.fromkeys((arm.policy, arm.prm) for arm in trials.arms if arm.prm):
        mine, spent = only(trials, used, [(policy, None), (policy, prm)])
        found[f"{policy}+{prm}"] = _gains(mine, spent, "tokens")
    return found


def _gains(trials: JointTrials, used: Mapping[str, Amounts], unit: Unit) -> dict[str, list[float]]:
    neither = _front(trials, used, unit, question=False, direct=False)
    return {
        name: _above(_front(trials, used, unit, question=question, direct=direct), neither, unit)
        for name, (question, direct) in MAY.items()
    }


def _front(
    trials: JointTrials,
    used: Mapping[str, Amounts],
    unit: Unit,
    *,
    question: bool,
    direct: bool,
) -> list[FrontPoint]:
    arms = [a for a, each in enumerate(trials.arms) if direct or not each.direct]
    mine = replace(
        trials,
        arms=tuple(trials.arms[a] for a in arms),
        right=trials.right[:, :, arms],
        used=trials.used[:, :, arms],
        shown={look: each for look, each in trials.shown.items() if question or look.pilots},
    )
    spent = {name: replace(each, arms=each.arms[:, :, arms]) for name, each in used.items()}
    return fronts(mine, [unit], spent)[unit]


def _above(one: Sequence[FrontPoint], other: Sequence[FrontPoint], unit: Unit) -> list[float]:
    budgets = {point.reached(unit).use for point in (*one, *other)}
    pairs = [
        (ours, theirs)
        for budget in sorted(budgets)
        if (ours := _right(one, unit, budget)) is not None
        and (theirs := _right(other, unit, budget)) is not None
    ]
    ours, theirs = (np.mean(each, axis=0).tolist() for each in zip(*pairs, strict=True))
    return [round(float(each), 4) for each in paired_bootstrap(ours, theirs)]


def _right(points: Sequence[FrontPoint], unit: Unit, budget: float) -> NDArray[np.float64] | None:
    """How often right by problem at a mean use; None where even the cheapest plan uses more."""
    at = at_use([each.reached(unit) for each in points], budget)
    if at is None:
        return None
    return (1 - at.share) * points[at.cheap].right + at.share * points[at.dear].right
