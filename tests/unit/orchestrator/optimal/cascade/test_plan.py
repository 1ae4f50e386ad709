"""A plan across models: what follows on each look."""

import pytest

from orchestrator.core.voting import Majority
from orchestrator.optimal.arms import Arm
from orchestrator.optimal.cascade.plan import Cascade, Look, ModelArm, PlannedLook
from orchestrator.optimal.difficulty.predictor import Predictor, Weight

COT = Arm(strategy="cot", settings={"temperature": 0.0}, vote=Majority())
SMALL, LARGE = (ModelArm(policy=name, prm=None, arm=COT) for name in ("small", "large"))
SURE = Predictor(
    pilots=1,
    intercept=0.0,
    weights={"small/confidence": Weight(mean=-1.0, deviation=0.5, weight=2.0)},
)


def looking(*actions: object, limits: tuple[float, ...] = (0.5,)) -> PlannedLook:
    look = Look(policy="small", prm=None, pilots=1)
    return PlannedLook(look=look, predictor=SURE, limits=limits, actions=actions)  # type: ignore[arg-type]


def test_a_sure_answer_is_given_and_an_unsure_one_is_handed_over() -> None:
    plan = Cascade(pilots=4, first=0, looks=(looking(LARGE, SMALL),))
    assert plan.decide(0, {"small/confidence": -0.1}).action == SMALL
    assert plan.decide(0, {"small/confidence": -3.0}).action == LARGE


def test_a_score_on_a_limit_belongs_to_the_easier_bin() -> None:
    plan = Cascade(pilots=4, first=0, looks=(looking(LARGE, SMALL),))
    decision = plan.decide(0, {"small/confidence": -1.0})
    assert (decision.score, decision.bin, decision.action) == (0.5, 1, SMALL)


def test_a_plan_may_be_one_model_s_greedy_answer_without_any_look() -> None:
    plan = Cascade(pilots=4, first=LARGE)
    assert plan.arms == [LARGE]
    assert plan.models == [("large", None)]


def test_models_are_those_looked_at_and_those_that_answer() -> None:
    plan = Cascade(pilots=4, first=0, looks=(looking(LARGE, 1), looking(SMALL, limits=())))
    assert plan.models == [("small", None), ("large", None)]


def test_a_look_at_the_question_alone_asks_no_model() -> None:
    question = Look(policy="small", prm=None, pilots=0)
    first = PlannedLook(look=question, predictor=SURE, limits=(), actions=(LARGE,))
    assert Cascade(pilots=4, first=0, looks=(first,)).models == [("large", None)]


def test_only_a_tree_search_starts_without_pilots() -> None:
    search = Arm(strategy="dvts", settings={"n": 16}, vote=Majority())
    assert ModelArm(policy="small", prm="prm", arm=search, direct=True).direct
    samples = Arm(strategy="majority", settings={"n": 16}, vote=Majority())
    for arm in (samples, COT):
        with pytest.raises(ValueError, match="is no tree search"):
            ModelArm(policy="small", prm=None, arm=arm, direct=True)


@pytest.mark.parametrize("leads_to", [0, 2, -1])
def test_a_look_leads_only_to_later_ones(leads_to: int) -> None:
    with pytest.raises(ValueError, match="look 0 cannot lead to look"):
        Cascade(pilots=4, first=0, looks=(looking(leads_to, SMALL), looking(SMALL, LARGE)))


def test_bins_without_an_action_and_limits_that_fall_are_refused() -> None:
    with pytest.raises(ValueError, match="1 limits make 2 bins"):
        looking(SMALL)
    with pytest.raises(ValueError, match="must ascend"):
        looking(SMALL, SMALL, LARGE, limits=(0.5, 0.5))
