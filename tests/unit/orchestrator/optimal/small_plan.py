"""A plan made up for tests: short greedy answers are believed, then votes that agree; what is left
goes to the large policy."""

from orchestrator.core.voting import Majority, Weighted
from orchestrator.optimal.arms import Arm
from orchestrator.optimal.cascade.plan import Cascade, Look, ModelArm, PlannedLook
from orchestrator.optimal.difficulty.predictor import Predictor, Weight

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
