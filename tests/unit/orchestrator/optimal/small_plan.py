"""A plan made up for tests: short greedy answers are believed, then votes that agree; what is left
goes to the large policy."""

from collections.abc import Sequence

from orchestrator.core.voting import Majority, Weighted
from orchestrator.optimal.arms import Arm
from orchestrator.optimal.cascade.plan import Cascade, Look, ModelArm, PlannedLook
from orchestrator.optimal.cascade.profile import AcrossModel, AcrossProfile, Came, FiledPoint, filed
from orchestrator.optimal.difficulty.predictor import Predictor, Weight
from orchestrator.optimal.profile import Origin

PILOTS = 4
WHOLE = {"temperature": 0.7, "top_p": 1.0, "max_tokens": 100}

GREEDY = ModelArm(
    policy="small",
    prm=None,
    arm=Arm(strategy="cot", settings={**WHOLE, "temperature": 0.0}, vote=Majority()),
)
VOTE = ModelArm(
    policy="small",
    prm="prm",
    arm=Arm(strategy="best_of_n", settings={**WHOLE, "n": PILOTS}, vote=Weighted("last")),
)
LARGE = ModelArm(
    policy="large",
    prm="prm",
    arm=Arm(strategy="best_of_n", settings={**WHOLE, "n": 8}, vote=Weighted("last")),
)
BEAMS = ModelArm(
    policy="large",
    prm="prm",
    arm=Arm(
        strategy="beam_search",
        settings={"n": 4, "width": 2, "max_tokens": 100},
        vote=Weighted("last"),
    ),
)


def by(feature: str, mean: float, weight: float, pilots: int) -> Predictor:
    """A predictor that goes by one feature."""
    weights = {feature: Weight(mean=mean, deviation=1.0, weight=weight)}
    return Predictor(pilots=pilots, intercept=0.0, weights=weights)


def small_plan(*, hard: ModelArm = LARGE) -> Cascade:
    """Greedy ``small`` first; where that is long, its scored pilots; where those disagree,
    ``hard``."""
    return Cascade(
        pilots=PILOTS,
        first=0,
        looks=(
            PlannedLook(
                look=Look(policy="small", prm=None, pilots=1),
                predictor=by("small/length", mean=2.0, weight=-10.0, pilots=1),
                limits=(0.5,),
                actions=(1, GREEDY),
            ),
            PlannedLook(
                look=Look(policy="small", prm="prm", pilots=PILOTS),
                predictor=by("small/agreement", mean=0.8, weight=40.0, pilots=PILOTS),
                limits=(0.5,),
                actions=(hard, VOTE),
            ),
        ),
    )


def small_across(
    *,
    plans: dict[float, Cascade] | None = None,
    task: str = "sums",
    policies: Sequence[str] = ("small", "large"),
    prms: Sequence[str] = ("prm",),
) -> AcrossProfile:
    """A profile across models with one front, of FLOPs: each plan by what it uses."""
    plans = plans or {1e6: small_plan()}
    found, predictors, arms = filed(list(plans.values()))
    return AcrossProfile(
        task=task,
        policies=[AcrossModel(name=name, parameters=1000) for name in policies],
        prms=[AcrossModel(name=name, parameters=500) for name in prms],
        pilots=PILOTS,
        sampling=WHOLE,
        fronts={
            "flops": [
                FiledPoint(came=_came(use), answers={}, plan=plan)
                for use, plan in zip(plans, found, strict=True)
            ]
        },
        alone=[],
        predictors=predictors,
        arms=arms,
        origin=Origin(orchard="0", results="", problems=[]),
    )


def _came(flops: float) -> Came:
    return Came(
        accuracy=0.9, low=0.8, high=1.0, tokens=100.0, flops=flops, flops_with_cache=flops,
        cost=0.0, seconds=1.0,
    )  # fmt: skip
