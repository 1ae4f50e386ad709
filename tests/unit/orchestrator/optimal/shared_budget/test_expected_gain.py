"""What going on with a problem is expected to gain."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.optimal.difficulty.evidence import Pilot
from orchestrator.optimal.difficulty.predictor import Logistic, Weight
from orchestrator.optimal.shared_budget.expected_gain import (
    AHEAD,
    FLOOR,
    Change,
    Step,
    best,
    more_samples,
    sizes,
    standing,
)


def pilot(answer: int | None, *scores: float) -> Pilot:
    return Pilot(answer=answer, scores=scores, tokens=10)


def logistic(intercept: float, **weights: float) -> Logistic:
    return Logistic(
        intercept=intercept,
        weights={name: Weight(mean=0, deviation=1, weight=each) for name, each in weights.items()},
    )


NEVER = logistic(-50.0)


def test_a_settled_vote_leaves_less_doubt_than_a_divided_one() -> None:
    settled = standing([pilot(1, 0.9)] * 4, is_scored=True)
    divided = standing([pilot(1, 0.9), pilot(2, 0.9)] * 2, is_scored=True)
    assert settled["doubt"] < divided["doubt"]
    assert settled["score"] == divided["score"] == settled["best"] == math.log(0.9)


def test_the_prm_settles_what_the_answers_alone_leave_open() -> None:
    drawn = [pilot(1, 0.99), pilot(1, 0.99), pilot(2, 0.01), pilot(3, 0.01)]
    scored, counted = (standing(drawn, is_scored=each) for each in (True, False))
    assert scored["doubt"] < counted["doubt"] == counted["disagreement"]


def test_without_scores_only_the_answers_count() -> None:
    shown = standing([pilot(1), pilot(None)], is_scored=False)
    assert shown.keys() == {"doubt", "disagreement", "drawn"}


def test_scores_of_the_pilots_alone_are_read_where_the_others_have_none() -> None:
    shown = standing([pilot(1, 0.5), pilot(1)], is_scored=False)
    assert (shown["score"], shown["best"]) == (math.log(0.5), math.log(0.5))


def test_what_nobody_answers_is_all_doubt_and_no_score_is_no_minus_infinity() -> None:
    shown = standing([pilot(None, 0.0)] * 4, is_scored=True)
    assert shown["doubt"] == pytest.approx(math.log(0.5))
    assert shown["best"] == math.log(FLOOR)


@given(st.integers(1, 8), st.integers(1, 300))
def test_sizes_grow_by_a_half_at_most_and_end_with_the_most(first: int, most: int) -> None:
    found = sizes(first, most)
    assert found[0] == first and (found[-1] == most or most <= first)
    assert all(less < more <= 2 * less for less, more in pairwise(found))


def test_a_step_that_mends_as_much_as_it_spoils_gains_nothing() -> None:
    change = Change(mends=logistic(0.3), spoils=logistic(0.3))
    assert change.gain({}) == 0.0


def test_what_a_batch_cannot_turn_is_worth_the_longer_stretch_that_does() -> None:
    """Gains here grow with the square of how far one looks ahead."""
    change = Change(mends=logistic(-6.0, **{AHEAD: 2.0}), spoils=NEVER)
    near, middle, far = more_samples(change, {}, 4, [4, 8, 16, 64], 10.0)
    assert (near.cost, middle.cost, far.cost) == (40.0, 120.0, 600.0)
    assert best([near, middle, far]) == far


def test_nothing_is_proposed_where_a_problem_is_settled_or_hopeless() -> None:
    assert best([Step(None, 0.0005, 1.0), Step(0, -0.2, 1.0)]) is None
    assert best([]) is None


def test_a_dear_search_is_taken_only_where_it_gains_as_much_a_unit() -> None:
    samples, search = Step(None, 0.02, 100.0), Step(0, 0.3, 1000.0)
    assert best([samples, search]) == search
    assert best([samples, search._replace(cost=2000.0)]) == samples


def test_expected_gains_follow_from_what_is_shown() -> None:
    """Divided votes are mended, unless nothing is scored well, as in a hopeless problem."""
    change = Change(mends=logistic(2.0, doubt=1.0, best=2.0), spoils=NEVER)
    drawn = {
        "settled": [pilot(1, 0.95)] * 8,
        "divided": [pilot(1, 0.8), pilot(2, 0.7)] * 4,
        "hopeless": [pilot(i, 0.01) for i in range(8)],
    }
    gains = {name: change.gain(standing(each, is_scored=True)) for name, each in drawn.items()}
    assert gains["divided"] > 0.2
    assert gains["hopeless"] < 0.02 and gains["settled"] < 0.02
