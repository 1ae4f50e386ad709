"""Profiles across models made up for tests."""

from collections.abc import Mapping, Sequence

from orchestrator.core.voting import Majority
from orchestrator.optimal.arms import Arm
from orchestrator.optimal.cascade.plan import Cascade, Look, ModelArm, PlannedLook
from orchestrator.optimal.cascade.profile import (
    AcrossModel,
    AcrossProfile,
    Came,
    Compared,
    FiledPoint,
    filed,
)
from orchestrator.optimal.difficulty.predictor import Predictor, Weight
from orchestrator.optimal.profile import Origin
from tests.unit.orchestrator.optimal.small_plan import PILOTS, WHOLE

GREEDY = Arm(strategy="cot", settings={"temperature": 0.0, "max_tokens": 100}, vote=Majority())
SMALL, LARGE = (ModelArm(policy=name, prm=None, arm=GREEDY) for name in ("small", "large"))


def came(accuracy: float, flops: float) -> Came:
    return Came(
        accuracy=accuracy,
        low=round(accuracy - 0.03, 6),
        high=round(accuracy + 0.02, 6),
        tokens=flops / 100,
        flops=flops,
        flops_with_cache=0.8 * flops,
        cost=flops / 1e9,
        seconds=flops / 1e3,
    )


def profile_of(
    plans: Mapping[float, Cascade],
    *,
    task: str = "sums",
    policies: Sequence[str] = ("small", "large"),
    prms: Sequence[str] = ("prm",),
) -> AcrossProfile:
    """One front, of FLOPs: each plan by what it uses, the dearest one right in 90 %."""
    found, predictors, arms = filed(list(plans.values()))
    return AcrossProfile(
        task=task,
        policies=[AcrossModel(name=name, parameters=1000) for name in policies],
        prms=[AcrossModel(name=name, parameters=500) for name in prms],
        pilots=PILOTS,
        sampling=WHOLE,
        fronts={
            "flops": [
                FiledPoint(came=came(0.9 - 0.1 * dearer, flops), answers={}, plan=plan)
                for flops, plan, dearer in zip(
                    plans, found, reversed(range(len(plans))), strict=True
                )
            ]
        },
        alone=[],
        predictors=predictors,
        arms=arms,
        origin=Origin(orchard="0", results="", problems=[]),
    )


def small_across() -> AcrossProfile:
    """The small model answers where it is confident."""
    look = PlannedLook(
        look=Look(policy="small", prm=None, pilots=1),
        predictor=Predictor(
            pilots=1,
            intercept=0.0,
            weights={"small/confidence": Weight(mean=-0.1, deviation=0.1, weight=2.0)},
        ),
        limits=(0.5,),
        actions=(LARGE, SMALL),
    )
    cascade = Cascade(pilots=4, first=0, looks=(look,))
    plans = [Cascade(pilots=4, first=SMALL), cascade, Cascade(pilots=4, first=LARGE)]
    reached = [came(0.7, 1e3), came(0.86, 4e3), came(0.9, 2e4)]
    answers = [{"small": 1.0}, {"small": 0.75, "large": 0.25}, {"large": 1.0}]
    found, predictors, arms = filed(plans)
    points = [
        FiledPoint(came=each, answers=shares, plan=plan)
        for each, shares, plan in zip(reached, answers, found, strict=True)
    ]
    return AcrossProfile(
        task="sums",
        policies=[
            AcrossModel(name="small", parameters=10),
            AcrossModel(name="large", parameters=200),
        ],
        prms=[],
        pilots=4,
        sampling={"temperature": 0.7, "top_p": 1.0, "max_tokens": 100, "logprobs": True},
        fronts={"flops": points, "seconds": points},
        alone=[
            Compared(policy="small", prm=None, strategy="majority of 16", came=came(0.75, 1.6e4)),
            Compared(policy="large", prm=None, strategy="auto", came=came(0.9, 2e4)),
        ],
        predictors=predictors,
        arms=arms,
        origin=Origin(orchard="0", results="", problems=["a", "b"]),
    )
