"""When a search has seen enough."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import betaincc

from orchestrator.core.node import Node
from orchestrator.core.stopping import (
    VOTE_RULES,
    VoteRule,
    at_least_half,
    dominates,
    is_settled,
    is_sure,
    lead,
    plurality,
)

TOTALS = st.lists(st.floats(0, 30), min_size=1, max_size=6)


@given(st.floats(0.5, 300), st.floats(0.5, 300))
def test_the_beta_posterior_is_scipys(a: float, b: float) -> None:
    assert at_least_half(a, b) == pytest.approx(float(betaincc(a, b, 0.5)), abs=1e-9)


@pytest.mark.parametrize("rule", VOTE_RULES)
def test_a_vote_is_settled_once_no_further_sample_can_change_it(rule: str) -> None:
    assert is_settled([9, 1], 7, rule, 0.999999)  # type: ignore[arg-type]
    assert is_settled([9, 1], 8, "certain", 0.9) is False


def test_four_of_four_pass_95_percent_and_three_of_four_do_not() -> None:
    assert lead([4]) == pytest.approx(0.96875)
    assert lead([3, 1]) == pytest.approx(0.8125)
    assert is_settled([4], 60, "beta", 0.95)
    assert not is_settled([3, 1], 60, "beta", 0.95)


def test_many_small_rivals_count_for_the_plurality_and_not_for_the_lead() -> None:
    assert lead([6, 2, 2, 2, 2]) == lead([6, 2])
    assert plurality([6, 2, 2, 2, 2]) < plurality([6, 2]) < lead([6, 2])


@given(TOTALS)
def test_posteriors_are_chances_and_the_plurality_is_the_more_careful(totals: list[float]) -> None:
    assert plurality(totals) <= lead(totals) + 1e-12
    assert 0.5 - 1e-12 <= lead(totals) <= 1


@given(TOTALS, st.integers(0, 40), st.sampled_from(VOTE_RULES))
def test_a_settled_vote_stays_settled_when_the_leader_gains(
    totals: list[float], to_come: int, rule: str
) -> None:
    if is_settled(totals, to_come, rule, 0.9):  # type: ignore[arg-type]
        best = totals.index(max(totals))
        more = [total + (i == best) for i, total in enumerate(totals)]
        assert is_settled(more, max(0, to_come - 1), rule, 0.9)  # type: ignore[arg-type]


def test_nobody_leads_where_nobody_was_given_anything() -> None:
    assert not is_settled([0.0, 0.0], 4, "beta", 0.51)
    assert not is_settled([], 4, "dirichlet", 0.51)


def test_one_answer_is_settled_once_fewer_samples_are_to_come_than_it_has() -> None:
    assert is_settled([4.0], 3, "certain", 0.9)
    assert not is_settled([4.0], 4, "certain", 0.9)
    assert not is_settled([], 0, "certain", 0.9)


def test_a_lead_that_differs_by_rounding_alone_settles_nothing() -> None:
    assert not is_settled([0.1 + 0.2 + 4.0, 0.3], 4, "certain", 0.9)


@pytest.mark.parametrize(("rule", "chance"), [("beta", lead), ("dirichlet", plurality)])
def test_a_vote_is_sure_from_its_confidence_on(
    rule: VoteRule, chance: Callable[[list[float]], float]
) -> None:
    reached = chance([3, 1])
    assert is_sure([3, 1], rule, reached)
    assert not is_sure([3, 1], rule, reached + 1e-9)


def test_the_plurality_is_what_each_rival_and_one_not_seen_leave() -> None:
    assert plurality([4]) == pytest.approx(lead([4, 0]))
    assert plurality([6, 2]) == pytest.approx(1 - (1 - lead([6, 2])) - (1 - lead([6, 0])))


def path(*scores: float) -> Node:
    return Node(question="", seed=0, scores=scores)


def test_a_finished_path_dominates_open_ones_that_are_worth_as_much_and_no_more() -> None:
    assert dominates([path(0.2), path(0.7)], [path(0.7), path(0.1)], "last")
    assert not dominates([path(0.2), path(0.7)], [path(0.71)], "last")
    assert dominates([path(0.2)], [], "last")
    assert not dominates([], [], "last")
