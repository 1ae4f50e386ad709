"""Which step of a pooled problem is next, where a profile knows the expected gains."""

from collections.abc import Sequence

from orchestrator.core.node import Node, StatedAnswer
from orchestrator.optimal.profile import Gains, Unit
from orchestrator.optimal.shared_budget.step_rules import ByGain, Costs
from tests.unit.orchestrator.optimal.small_profile import PILOTS, small_gains, small_profile


def leaves(answers: Sequence[str], score: float = 0.9) -> list[Node]:
    return [
        Node(question="?", seed=number, steps=(each,), scores=(score,), answer=StatedAnswer(each))
        for number, each in enumerate(answers)
    ]


def by_gain(gains: Gains, *, unit: Unit = "tokens", longer: float = 1.0) -> ByGain:
    costs = Costs.of(small_profile(), gains, unit)
    return ByGain(gains, costs, pilots=PILOTS, hope=0.5, longer=longer)


DIVIDED, SETTLED = ["1", "2", "1", "2"], ["1"] * 4


def test_a_divided_vote_draws_more_samples_up_to_the_most_that_were_measured() -> None:
    rule = by_gain(small_gains())
    assert rule.arm.n == PILOTS
    proposal = rule.propose(leaves(DIVIDED), 50.0)
    assert proposal and (proposal.arm.strategy, proposal.arm.n) == ("best_of_n", 32)
    assert (proposal.expected, proposal.sure) == (50.0, True)
    rule.follow(proposal)
    assert rule.arm == proposal.arm
    assert rule.propose(leaves(DIVIDED * 8), 50.0) is None


def test_a_settled_and_a_hopeless_problem_want_no_more() -> None:
    rule = by_gain(small_gains(odds=2.0))
    assert rule.propose(leaves(DIVIDED), 50.0)
    assert rule.propose(leaves(SETTLED * 4), 50.0) is None
    assert rule.propose(leaves(["1", "2", "3", "4"], score=0.001), 50.0) is None


def test_the_more_doubt_the_more_a_batch_gains() -> None:
    rule = by_gain(small_gains())
    divided, leading = (
        rule.propose(leaves(each), 50.0) for each in (DIVIDED, ["1", "1", "1", "2"])
    )
    assert divided and leading and divided.gains > leading.gains


def test_long_problems_gain_less_a_unit_and_are_expected_to_use_more() -> None:
    gains = small_gains(trees=True, searching=9.0, odds=-9.0)
    short, long = (by_gain(gains, longer=each).propose(leaves(DIVIDED), 50.0) for each in (1, 2))
    assert short and long and short.arm == long.arm
    assert (long.gains, long.expected) == (short.gains / 2, short.expected * 2)


def test_a_search_is_next_where_it_gains_more_for_what_it_costs() -> None:
    proposal = by_gain(small_gains(trees=True, odds=-4.0)).propose(leaves(DIVIDED), 50.0)
    assert proposal and proposal.arm.strategy == "beam_search"
    cheap = by_gain(small_gains(trees=True)).propose(leaves(DIVIDED), 50.0)
    assert cheap and cheap.arm.strategy == "best_of_n"


def test_neither_samples_nor_the_same_search_follow_a_search() -> None:
    rule = by_gain(small_gains(trees=True, odds=-4.0))
    proposal = rule.propose(leaves(DIVIDED), 50.0)
    assert proposal
    rule.follow(proposal)
    assert rule.arm.strategy == "beam_search"
    assert rule.propose(leaves(DIVIDED * 2), 50.0) is None


def test_what_is_next_depends_on_the_problem_alone_not_on_what_it_used() -> None:
    gains = small_gains(trees=True)
    arms = {
        proposal.arm.strategy
        for longer in (0.1, 1.0, 30.0)
        for a_batch in (1.0, 1e4)
        if (proposal := by_gain(gains, longer=longer).propose(leaves(DIVIDED), a_batch))
    }
    assert len(arms) == 1
