"""Plans for worlds in which the right one is known."""

import numpy as np
import pytest

from orchestrator.optimal.cascade.amounts import Amounts, may_follow, needs
from orchestrator.optimal.cascade.fitting import fit_plan
from orchestrator.optimal.cascade.outcomes import carried_out
from orchestrator.optimal.cascade.plan import Cascade, Look, ModelArm
from orchestrator.optimal.cascade.tables import Tables
from tests.unit.orchestrator.optimal.cascade.world import World, greedy


def planned(world: World, price: float) -> Cascade:
    return fit_plan(Tables(world.trials, world.spent), price)


def test_a_confident_small_model_answers_and_hands_over_what_it_is_unsure_of() -> None:
    world = World()
    world.policy("small", 0.95, 0.1, takes=1, telling=6.0)
    world.policy("large", 0.95, 0.95, takes=20)
    plan = planned(world, 0.01)
    assert isinstance(plan.first, int)
    assert plan.looks[0].look == Look(policy="small", prm=None, pilots=1)
    assert plan.looks[0].actions == (greedy("large"), greedy("small"))
    outcome = carried_out(plan, world.trials, {"": world.spent})
    assert outcome.right.mean() > 0.93
    assert outcome.used[""].mean() == pytest.approx(1 + 20 * 0.48, rel=0.1)


def test_a_larger_model_that_is_simply_cheaper_answers_everything() -> None:
    world = World()
    world.policy("small", 0.9, 0.3, takes=10)
    world.prm("small", "prm", 0.92, 0.6, takes=10)
    world.policy("large", 0.97, 0.9, takes=12)
    assert planned(world, 0.001) == Cascade(pilots=4, first=greedy("large"))


def test_a_poor_prm_is_never_asked() -> None:
    world = World()
    world.policy("small", 0.95, 0.2, takes=1, telling=5.0)
    world.prm("small", "prm", 0.6, 0.1, takes=2)
    world.policy("large", 0.95, 0.9, takes=20)
    for price in (0.05, 0.01, 0.001, 1e-5):
        assert all(prm is None for _, prm in planned(world, price).models)


def test_a_good_prm_is_searched_under_where_the_greedy_answer_is_doubtful() -> None:
    world = World()
    world.policy("small", 0.98, 0.2, takes=1, telling=5.0)
    world.prm("small", "prm", 0.99, 0.95, takes=1)
    plan = planned(world, 0.002)
    assert plan.looks[0].actions[-1] == greedy("small")
    assert plan.looks[0].actions[0].prm == "prm"  # type: ignore[union-attr]


def test_without_a_price_the_best_arm_is_chosen_and_with_a_high_one_the_cheapest() -> None:
    world = World()
    world.policy("small", 0.8, 0.2, takes=1)
    world.policy("large", 1.0, 1.0, takes=20)
    assert planned(world, 1e-9).first == greedy("large")
    assert planned(world, 1.0).first == greedy("small")


def test_a_long_question_goes_straight_to_the_large_model() -> None:
    world = World()
    for name, hard, takes in (("small", 0.1, 1), ("large", 0.95, 20)):
        world.question(name, telling=6.0)
        world.policy(name, 0.95, hard, takes=takes)
    plan = planned(world, 0.01)
    assert plan.first == 0
    (question,) = plan.looks
    assert question.look == Look(policy="small", prm=None, pilots=0)
    assert question.actions == (greedy("large"), greedy("small"))
    outcome = carried_out(plan, world.trials, {"": world.spent})
    assert outcome.right.mean() > 0.93
    assert outcome.used[""].mean() == pytest.approx(0.5 * 1 + 0.5 * 20, rel=0.02)


def test_a_question_that_tells_nothing_is_not_looked_at_alone() -> None:
    for seed in range(8):
        world = World(problems=100, draws=2, seed=seed)
        world.question("small")
        world.policy("small", 0.85, 0.2, takes=1)
        world.policy("large", 0.97, 0.7, takes=8)
        for price in (0.08, 0.05, 0.03):
            assert all(each.look.pilots for each in planned(world, price).looks)


def test_a_look_at_the_question_alone_is_the_first_and_saves_nothing() -> None:
    question, alone = (Look(policy="small", prm=None, pilots=n) for n in (0, 1))
    large = Look(policy="large", prm=None, pilots=0)
    assert may_follow(question, ()) and may_follow(alone, (question,))
    assert not may_follow(question, (alone,)) and not may_follow(large, (alone,))
    assert not may_follow(large, (question,))
    world = World(problems=2)
    world.question("small")
    world.policy("small", 0.5, 0.5, takes=1)
    assert world.spent.saved(alone, (question,)) is None
    assert world.spent.saved(alone, (question, alone)) == alone


def test_a_long_question_gets_a_search_that_pays_for_no_pilots() -> None:
    world = World()
    world.question("small", telling=6.0)
    world.policy("small", 0.95, 0.1, takes=1)
    world.prm("small", "prm", 0.95, 0.2, takes=1)
    world.search("small", "prm", 0.95, 0.95, takes=20)
    (question,) = planned(world, 0.01).looks
    search, answer = question.actions
    assert not question.look.pilots and answer == greedy("small")
    assert isinstance(search, ModelArm) and search.direct and search.arm.strategy == "dvts"


def test_a_direct_search_uses_the_same_whatever_was_drawn_before() -> None:
    world = World(problems=2)
    world.policy("small", 0.5, 0.5, takes=1)
    world.prm("small", "prm", 0.5, 0.5, takes=1)
    world.search("small", "prm", 0.5, 0.5, takes=20)
    continuing, direct = world.arms[-2:]
    scored = Look(policy="small", prm="prm", pilots=4)
    assert world.spent.saved(needs(continuing, 4), (scored,)) == scored
    assert world.spent.saved(needs(direct, 4), (scored,)) is None


def test_what_a_look_drew_is_saved_by_what_follows_and_nothing_else_is() -> None:
    world = World(problems=2)
    world.policy("small", 0.5, 0.5, takes=1)
    world.prm("small", "prm", 0.5, 0.5, takes=1)
    alone, pilots = (Look(policy="small", prm=None, pilots=n) for n in (1, 4))
    scored = Look(policy="small", prm="prm", pilots=4)
    other = Look(policy="small", prm="other", pilots=4)
    large = Look(policy="large", prm=None, pilots=4)
    spent = world.spent
    assert spent.saved(scored, (alone,)) == alone
    assert spent.saved(scored, (alone, pilots)) == pilots
    assert spent.saved(alone, (scored,)) == alone
    assert spent.saved(pilots, (scored,)) == pilots
    assert spent.saved(other, (scored,)) == pilots
    assert spent.saved(large, (scored,)) is None
    time = Amounts(arms=spent.arms, drawn=spent.drawn, is_time=True)
    assert time.saved(pilots, (alone,)) is None
    assert time.saved(scored, (pilots,)) is None or time.saved(scored, (pilots,)) == pilots


def test_looks_at_one_policy_only_grow() -> None:
    alone, pilots = (Look(policy="small", prm=None, pilots=n) for n in (1, 4))
    scored = Look(policy="small", prm="prm", pilots=4)
    other = Look(policy="small", prm="other", pilots=4)
    assert may_follow(pilots, (alone,)) and may_follow(scored, (alone, pilots))
    assert not may_follow(alone, (pilots,))
    assert not may_follow(other, (scored,))
    assert may_follow(Look(policy="large", prm=None, pilots=1), (alone, scored))


def test_a_plan_decides_for_one_problem_as_for_all_at_once() -> None:
    world = World(problems=60)
    world.policy("small", 0.95, 0.2, takes=1, telling=2.0)
    world.prm("small", "prm", 0.97, 0.6, takes=1, telling=2.0)
    world.policy("large", 0.95, 0.9, takes=30, telling=1.0)
    plan, trials = planned(world, 0.003), world.trials
    outcome = carried_out(plan, trials, {"": world.spent})
    assert plan.looks
    for p, t in [(0, 0), (1, 1), (2, 3), (59, 0), (33, 2)]:
        action, shown = plan.first, dict[str, float]()
        while isinstance(action, int):
            look = plan.looks[action].look
            found = trials.shown[look]
            shown |= {
                f"{look.policy}/{name}": float(value)
                for name, value in zip(found.names, found.features[p, t], strict=True)
            }
            agree = trials.shown.items()
            shown |= {
                f"{look.policy}/same/{other.policy}": float(
                    each.leading[p, t] == found.leading[p, t]
                )
                for other, each in agree
                if other.policy != look.policy and f"{other.policy}/confidence" in shown
            }
            action = plan.decide(action, shown).action
        assert trials.arms[outcome.answers[p, t]] == action


def test_an_arm_tried_on_few_problems_is_chosen_only_if_it_is_clearly_better() -> None:
    world = World()
    world.policy("small", 0.9, 0.5, takes=1)
    world.prm("small", "prm", 0.95, 0.9, takes=0.1)
    trials = world.trials
    trials.right[12:, :, -1] = np.nan
    plan = fit_plan(Tables(trials, world.spent), 1e-5)
    assert plan.first is not None
    outcome = carried_out(plan, trials, {"": world.spent})
    assert not np.isnan(outcome.used[""]).any()
