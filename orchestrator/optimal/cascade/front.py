"""The front across models: for each price of what is used, the plan and what it comes to.

Cross-fitted: predictors, bins, looks and arms are fitted without the fold they are judged on. The
plan that is kept is fitted to all problems.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from orchestrator.core.budget import Price
from orchestrator.optimal.cascade.amounts import Amounts
from orchestrator.optimal.cascade.fitting import fit_plan
from orchestrator.optimal.cascade.hull import Reached, on_hull
from orchestrator.optimal.cascade.joint import JointTrials, PolicyAndPRM
from orchestrator.optimal.cascade.outcomes import CarriedOut, carried_out
from orchestrator.optimal.cascade.plan import Cascade
from orchestrator.optimal.cascade.tables import Tables
from orchestrator.optimal.profile import Unit
from orchestrator.optimal.profiling.crossfit import folds
from orchestrator.optimal.profiling.measured import USED

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PRICES = 16
"""Prices tried, from one at which the cheapest answer wins to one at which accuracy does; and one
more, at which the cheapest wins whatever a look shows."""

FLOPS_WITH_CACHE = "flops_with_cache"
"""The measure that leaves out the tokens a prefix cache held, as records count FLOPs; ``flops``
counts every token, since in a run of many strategies one fills the cache for the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargedModel:
    """What a policy or PRM is charged by: its ``parameters`` and its ``price``, where known."""

    parameters: int | None = None
    price: Price | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontPoint:
    """A plan, and what it comes to off the folds it was fitted to: by problem how often it is
    ``right`` and what it ``used``, by measure; and the share of problems each policy ``answers``.
    """

    plan: Cascade
    right: "NDArray[np.float64]"
    used: "Mapping[str, NDArray[np.float64]]"
    answers: Mapping[str, float]

    def reached(self, unit: str) -> Reached:
        """Its use in ``unit`` and its accuracy, on average."""
        return Reached(float(self.used[unit].mean()), float(self.right.mean()))


def measures(trials: JointTrials, models: Mapping[str, ChargedModel]) -> dict[str, Amounts]:
    """What trials use in every measure that is known of all models: ``tokens`` and ``seconds``,
    FLOPs where there are parameters, ``cost`` where some model has a price (others are free)."""
    used = {"tokens": _measured(trials, models, _tokens)}
    if all(model.parameters is not None for model in models.values()):
        used["flops"] = _measured(trials, models, _flops)
        used[FLOPS_WITH_CACHE] = _measured(trials, models, _flops_with_cache)
    if any(model.price is not None for model in models.values()):
        used["cost"] = _measured(trials, models, _cost)
    used["seconds"] = replace(_measured(trials, models, _seconds), is_time=True)
    return used


def fronts(
    trials: JointTrials, units: Sequence[Unit], used: Mapping[str, Amounts], *, prices: int = PRICES
) -> dict[Unit, list[FrontPoint]]:
    """For each unit the points on the hull of accuracy against use in it, the cheapest first."""
    whole = Tables(trials, used[units[0]])
    by_unit = {unit: whole.in_unit(used[unit]) for unit in units}
    tried = {unit: price_range(tables, prices) for unit, tables in by_unit.items()}
    parts: dict[Unit, list[tuple[list[int], list[CarriedOut]]]] = {unit: [] for unit in units}
    for held_out in folds(len(trials.problems)):
        rest = sorted({*range(len(trials.problems))} - {*held_out})
        fitted = Tables(trials.of(rest), used[units[0]].of(rest))
        test = trials.of(held_out)
        spent = {name: each.of(held_out) for name, each in used.items()}
        for unit in units:
            tables = fitted.in_unit(used[unit].of(rest))
            plans = [fit_plan(tables, price) for price in tried[unit]]
            parts[unit].append((held_out, [carried_out(plan, test, spent) for plan in plans]))
    return {
        unit: on_hull(
            [
                _point(
                    fit_plan(by_unit[unit], price),
                    _joined([(held_out, outcomes[i]) for held_out, outcomes in parts[unit]]),
                    trials,
                )
                for i, price in enumerate(tried[unit])
            ],
            partial(FrontPoint.reached, unit=unit),
        )
        for unit in units
    }


def _point(plan: Cascade, outcome: CarriedOut, trials: JointTrials) -> FrontPoint:
    import numpy as np

    policies = np.array([arm.policy for arm in trials.arms])
    return FrontPoint(
        plan=plan,
        right=outcome.right.mean(axis=1),
        used={name: each.mean(axis=1) for name, each in outcome.used.items()},
        answers={
            str(policy): float((policies[outcome.answers] == policy).mean())
            for policy in dict.fromkeys(policies)
        },
    )


def price_range(tables: Tables, count: int) -> list[float]:
    """Prices from the steepest gain between two arms to that of one problem for the dearest.

    Before these ``count`` stands a price too high for any dearer arm, even where it is sure to turn
    a wrong answer into a right one.
    """
    import numpy as np

    right, used = tables.overall
    cheapest = int(np.lexsort((-right, used))[0])
    dearer = used > used[cheapest] * 1.001
    more = (used - used[cheapest])[dearer]
    gains = (right - right[cheapest])[dearer] / more
    most = float(gains.max(initial=0.0)) or 1.0 / (float(used.max()) or 1.0)
    best = float(used[int(right.argmax())]) or 1.0
    least = min(most / 10, 0.5 / len(tables.trials.problems) / best)
    too_high = [2.0 / float(more.min())] if len(more) else []
    return [*too_high, *map(float, np.geomspace(2 * most, least, count))]


def only(
    trials: JointTrials, used: Mapping[str, Amounts], models: Sequence[PolicyAndPRM]
) -> "tuple[JointTrials, dict[str, Amounts]]":
    """The trials with the arms and looks of some models alone."""
    arms = [a for a, arm in enumerate(trials.arms) if (arm.policy, arm.prm) in models]
    looks = [look for look in trials.looks if (look.policy, look.prm) in models]
    return (
        replace(
            trials,
            arms=tuple(trials.arms[a] for a in arms),
            right=trials.right[:, :, arms],
            used=trials.used[:, :, arms],
            shown={look: trials.shown[look] for look in looks},
        ),
        {name: replace(each, arms=each.arms[:, :, arms]) for name, each in used.items()},
    )


def _joined(parts: Sequence[tuple[list[int], CarriedOut]]) -> CarriedOut:
    """The outcomes of all folds in one. What an arm would have come to on a problem it was not
    tried on is what it comes to on average."""
    import numpy as np

    order = np.argsort(np.concatenate([held_out for held_out, _ in parts]))
    outcomes = [outcome for _, outcome in parts]

    def joined(values: "Sequence[NDArray[np.float64]]") -> "NDArray[np.float64]":
        found = np.concatenate(values)[order]
        return np.where(np.isnan(found), np.nanmean(found), found)

    return CarriedOut(
        right=joined([each.right for each in outcomes]),
        used={name: joined([each.used[name] for each in outcomes]) for name in outcomes[0].used},
        answers=np.concatenate([each.answers for each in outcomes])[order],
    )


def _measured(
    trials: JointTrials, models: Mapping[str, ChargedModel], charge: "_Charge"
) -> Amounts:
    import numpy as np

    free = ChargedModel(parameters=0)

    def charged(used: "NDArray[np.float64]", policy: str, prm: str | None) -> "NDArray[np.float64]":
        columns = {name: used[..., i] for i, name in enumerate(USED)}
        return charge(columns, models[policy], models[prm] if prm is not None else free)

    arms = [
        charged(trials.used[:, :, a].astype(float), arm.policy, arm.prm)
        for a, arm in enumerate(trials.arms)
    ]
    return Amounts(
        arms=np.stack(arms, axis=2),
        drawn={look: charged(each, look.policy, look.prm) for look, each in trials.drawn.items()},
    )


def _tokens(used: "_Columns", policy: ChargedModel, prm: ChargedModel) -> "NDArray[np.float64]":
    return used["policy_tokens"] + used["prm_tokens"]


def _flops(used: "_Columns", policy: ChargedModel, prm: ChargedModel) -> "NDArray[np.float64]":
    read = used["policy_tokens"] + used["prompt_tokens"]
    return 2.0 * ((policy.parameters or 0) * read + (prm.parameters or 0) * used["prm_tokens"])


def _flops_with_cache(
    used: "_Columns", policy: ChargedModel, prm: ChargedModel
) -> "NDArray[np.float64]":
    held = (policy.parameters or 0) * used["cached_tokens"]
    held = held + (prm.parameters or 0) * used["prm_cached_tokens"]
    return _flops(used, policy, prm) - 2.0 * held


def _cost(used: "_Columns", policy: ChargedModel, prm: ChargedModel) -> "NDArray[np.float64]":
    """By the models' prices; what a generative PRM writes counts as if it had read it."""
    total = 0.0 * used["policy_tokens"]
    if policy.price is not None:
        prompts = used["prompt_tokens"] - used["cached_tokens"]
        cached = policy.price.cached_input
        total = total + policy.price.input * prompts
        total = total + (policy.price.input if cached is None else cached) * used["cached_tokens"]
        total = total + policy.price.output * used["policy_tokens"]
    if prm.price is not None:
        cached = prm.price.cached_input
        total = total + prm.price.input * (used["prm_tokens"] - used["prm_cached_tokens"])
        total = total + (prm.price.input if cached is None else cached) * used["prm_cached_tokens"]
    return 1e-6 * total


def _seconds(used: "_Columns", policy: ChargedModel, prm: ChargedModel) -> "NDArray[np.float64]":
    return used["seconds"]


if TYPE_CHECKING:
    from collections.abc import Callable

    _Columns = Mapping[str, NDArray[np.float64]]
    _Charge = Callable[[_Columns, ChargedModel, ChargedModel], NDArray[np.float64]]
