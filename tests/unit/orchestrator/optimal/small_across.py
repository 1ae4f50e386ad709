"""A profile across models made up for tests: the small model answers where it is confident."""

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

GREEDY = Arm(strategy="cot", settings={"temperature": 0.0, "max_tokens": 100}, vote=Majority())
SMALL, LARGE = (ModelArm(policy=name, prm=None, arm=GREEDY) for name in ("small", "large"))


def came(accuracy: float, flops: float) -> Came:
    return Came(
        accuracy=accuracy,
        low=accuracy - 0.03,
        high=accuracy + 0.02,
        tokens=flops / 100,
        flops=flops,
        flops_with_cache=0.8 * flops,
        cost=1e-9 * flops,
        seconds=1e-3 * flops,
    )


def small_across() -> AcrossProfile:
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
