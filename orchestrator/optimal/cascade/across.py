"""From the records of a run of one or several policies to a profile across its models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from orchestrator import __version__
from orchestrator.core.budget import Price
from orchestrator.core.equivalence import SameByProblem
from orchestrator.core.records import AUTO, Record
from orchestrator.errors import ProfileError
from orchestrator.optimal.cascade.amounts import Amounts
from orchestrator.optimal.cascade.front import ChargedModel, FrontPoint, fronts, measures, only
from orchestrator.optimal.cascade.joint import (
    JointTrials,
    PolicyAndPRM,
    by_size,
    joint_trials,
    measure_models,
)
from orchestrator.optimal.cascade.plan import ModelArm
from orchestrator.optimal.cascade.profile import (
    AcrossModel,
    AcrossProfile,
    Came,
    Compared,
    FiledPlan,
    FiledPoint,
    filed,
)
from orchestrator.optimal.difficulty.evidence import QUESTION_LOGPROB
from orchestrator.optimal.difficulty.predictor import Predictor
from orchestrator.optimal.profile import Origin, Unit, problem_digest
from orchestrator.optimal.profiling.fitting import FEWEST, PILOTS, digest
from orchestrator.optimal.profiling.measuring import Cells
from orchestrator.optimal.wording import in_words
from orchestrator.statistics import mean_interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SAMPLING = ("temperature", "top_p", "max_tokens")
"""The settings of samples that a run needs to draw pilots."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """Joint trials with what they use in every measure; ``sampling`` is how samples were drawn."""

    task: str
    models: Mapping[str, ChargedModel]
    trials: JointTrials
    used: Mapping[str, Amounts]
    sampling: Mapping[str, Any]

    @property
    def units(self) -> list[Unit]:
        """The units that plans are fitted for. Tokens are comparable within one policy only."""
        several = len({arm.policy for arm in self.trials.arms}) > 1
        return [
            unit
            for unit in get_args(Unit)
            if unit in self.used and (unit != "tokens" or not several)
        ]


async def measurements(
    records: Sequence[Record], same: SameByProblem, prices: Mapping[str, Price]
) -> Measurements:
    """What ``records``, none of them of ``auto``, measure. Raises ``ProfileError`` if they do not
    hold what a profile across models needs."""
    models = await measure_models(records, same)
    problems = len(next(iter(models.values()))[1])
    if problems < FEWEST:
        raise ProfileError(
            f"{problems} problems that all policies have are too few for a profile that "
            f"generalizes: it needs at least {FEWEST}, better some hundreds"
        )
    trials = joint_trials(models, PILOTS)
    served = _served(records, prices)
    return Measurements(
        task=records[0].task,
        models=served,
        trials=trials,
        used=measures(trials, served),
        sampling=_sampling(models),
    )


def _served(records: Sequence[Record], prices: Mapping[str, Price]) -> dict[str, ChargedModel]:
    found: dict[str, ChargedModel] = {}
    for each in sorted(records, key=by_size):
        for name, parameters in ((each.policy, each.policy_params), (each.prm, each.prm_params)):
            if name is not None and name not in found:
                found[name] = ChargedModel(parameters=parameters, price=prices.get(name))
    return found


def _sampling(models: Mapping[PolicyAndPRM, tuple[Cells, Any]]) -> dict[str, Any]:
    found = [
        {key: cells.settings[key] for key in SAMPLING if key in cells.settings}
        for cells, _ in models.values()
    ]
    if any(each != found[0] for each in found):
        raise ProfileError(
            "across models all samples must be drawn alike, and these runs differ in "
            "`temperature`, `top_p` or `max_tokens`"
        )
    asks = any(cells.has_logprobs for cells, _ in models.values())
    return found[0] | ({"logprobs": True} if asks else {})


def across_profile(measured: Measurements, records: Sequence[Record]) -> AcrossProfile:
    """The profile across the models measured; ``records`` are those it was measured by."""
    trials, used = measured.trials, measured.used
    found_fronts = fronts(trials, measured.units, used)
    points = [point for found in found_fronts.values() for point in found]
    plans, predictors, arms = filed([point.plan for point in points])
    filed_points = iter(map(_point, points, plans))
    policies = list(dict.fromkeys(arm.policy for arm in trials.arms))
    return AcrossProfile(
        task=measured.task,
        policies=[_model(name, measured.models[name]) for name in policies],
        prms=[_model(name, each) for name, each in measured.models.items() if name not in policies],
        pilots=trials.pilots,
        sampling={**measured.sampling, **_question(predictors)},
        fronts={unit: [next(filed_points) for _ in found] for unit, found in found_fronts.items()},
        alone=[*fixed_alone(trials, used), *auto_alone(trials, used, measured.units[0])],
        predictors=predictors,
        arms=arms,
        origin=Origin(
            orchard=__version__,
            results=digest(records),
            problems=[problem_digest(measured.task, each) for each in trials.problems],
        ),
    )


def _question(predictors: Sequence[Predictor]) -> dict[str, bool]:
    """Whether the first request must bring the log-probability of the question."""
    read = {name.rpartition("/")[2] for each in predictors for name in each.weights}
    return {QUESTION_LOGPROB: True} if QUESTION_LOGPROB in read else {}


def _model(name: str, served: ChargedModel) -> AcrossModel:
    return AcrossModel(name=name, parameters=served.parameters, price=served.price)


def _point(point: FrontPoint, plan: FiledPlan) -> FiledPoint:
    return FiledPoint(
        came=came(point.right, point.used),
        answers={policy: share for policy, share in point.answers.items() if share},
        plan=plan,
    )


def came(right: "NDArray[np.float64]", used: "Mapping[str, NDArray[np.float64]]") -> Came:
    """What was reached, by problem, with its interval."""
    low, high = mean_interval(right.tolist())
    means = {name: float(each.mean()) for name, each in used.items()}
    return Came(
        accuracy=float(right.mean()),
        low=low,
        high=high,
        tokens=means["tokens"],
        flops=means.get("flops"),
        flops_with_cache=means.get("flops_with_cache"),
        cost=means.get("cost", 0.0),
        seconds=means["seconds"],
    )


def fixed_alone(trials: JointTrials, used: Mapping[str, Amounts]) -> list[Compared]:
    """Every strategy of one policy that neither stops early nor falls back, as an ordinary cell
    runs it (a tree search without pilots), on the problems it was tried on."""
    import numpy as np

    found = []
    for a, each in enumerate(trials.arms):
        if not is_fixed(each):
            continue
        right = trials.right[:, :, a].mean(axis=1).astype(float)
        tried = ~np.isnan(right)
        found.append(
            Compared(
                policy=each.policy,
                prm=each.prm,
                strategy=in_words(each.arm),
                came=came(
                    right[tried],
                    {name: own.arms[:, :, a].mean(axis=1)[tried] for name, own in used.items()},
                ),
            )
        )
    return found


def is_fixed(each: ModelArm) -> bool:
    """Whether an arm does what an ordinary cell does of every problem."""
    return each.direct or (
        each.arm.is_sampling and each.arm.stop is None and not each.arm.has_fallback
    )


def auto_alone(trials: JointTrials, used: Mapping[str, Amounts], unit: Unit) -> list[Compared]:
    """The front of every policy alone, with one PRM or none. A single policy with one PRM at most
    has no other front than the profile's own."""
    if len({(arm.policy, arm.prm) for arm in trials.arms if arm.prm is not None}) <= 1 and (
        len({arm.policy for arm in trials.arms}) == 1
    ):
        return []
    return [
        Compared(policy=policy, prm=prm, strategy=AUTO, came=came(point.right, point.used))
        for (policy, prm), points in autos(trials, used, unit).items()
        for point in points
    ]


def autos(
    trials: JointTrials, used: Mapping[str, Amounts], unit: Unit
) -> dict[PolicyAndPRM, list[FrontPoint]]:
    """The front of every policy alone, under each PRM; of one that has none, without."""
    pairs = list(dict.fromkeys((arm.policy, arm.prm) for arm in trials.arms))
    scored = {policy for policy, prm in pairs if prm is not None}
    found = {}
    for policy, prm in pairs:
        if prm is not None or policy not in scored:
            mine, spent = only(trials, used, [(policy, None), (policy, prm)])
            found[policy, prm] = fronts(mine, [unit], spent)[unit]
    return found
