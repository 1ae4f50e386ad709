"""The tokens of the last minute, and what requests under way are expected to use."""

import random

import pytest

from orchestrator.endpoints.admission.rate_limits import (
    Estimator,
    MinuteWindow,
    TokenEstimate,
)
from tests.unit.orchestrator.endpoints.admission.estimates import NOTHING, exactly


def test_tokens_under_way_are_taken_for_more_than_their_mean_but_not_for_more_than_can_be() -> None:
    window = MinuteWindow(1_000)
    sure = TokenEstimate(100.0, 0.0, 100.0)
    for _ in range(9):
        window.reserve(sure, 0.0)
    assert window.wait(sure, 0.0) == 0.0
    assert window.wait(TokenEstimate(100.0, 400.0, 300.0), 0.0) > 0
    assert window.wait(TokenEstimate(100.0, 400.0, 100.0), 0.0) == 0.0


def test_what_an_answer_took_replaces_what_it_was_taken_for() -> None:
    window, guess = MinuteWindow(1_000), TokenEstimate(500.0, 0.0, 500.0)
    first = window.reserve(guess, 0.0)
    second = window.reserve(guess, 0.0)
    assert window.wait(guess, 0.0) > 0
    window.settle(first, 100.0)
    window.settle(second, 300.0)
    window.settle(second, 300.0)
    assert window.wait(guess, 0.0) == 0.0
    assert window.wait(TokenEstimate(601.0, 0.0, 601.0), 0.0) > 0
    assert window.wait(TokenEstimate(1_000.0, 0.0, 1_000.0), 61.0) == 0.0


def test_a_request_that_outlasts_its_minute_is_forgotten_once() -> None:
    window, guess = MinuteWindow(1_000), TokenEstimate(900.0, 0.0, 900.0)
    charge = window.reserve(guess, 0.0)
    assert window.wait(guess, 61.0) == 0.0
    window.settle(charge, 900.0)
    window.reserve(guess, 61.0)
    assert window.wait(guess, 61.0) > 0


def test_a_request_larger_than_the_limit_goes_alone() -> None:
    window, huge = MinuteWindow(1_000), TokenEstimate(5_000.0, 0.0, 5_000.0)
    assert window.wait(huge, 0.0) == 0.0
    window.reserve(huge, 0.0)
    assert window.wait(NOTHING, 1.0) > 0
    assert window.wait(NOTHING, 61.0) == 0.0


def test_the_estimate_learns_and_until_then_expects_the_most() -> None:
    estimator, drawn = Estimator(), random.Random(1)
    assert estimator.estimate(100, 4, 50).mean == pytest.approx(0.3 * 100 + 4 * 50)
    for _ in range(500):
        estimator.observe(100, 4, 25, 4 * drawn.randint(10, 30))
    learned = estimator.estimate(100, 4, 2048)
    assert learned.mean == pytest.approx(25 + 4 * 20, rel=0.1)
    assert learned.variance == pytest.approx(16 * 36, rel=0.5)
    assert learned.most == pytest.approx(25 + 4 * 2048, rel=0.01)
    assert estimator.estimate(100, 4, 10).mean == pytest.approx(25 + 4 * 10, rel=0.01)


def test_a_surprise_is_learned_from_at_once() -> None:
    estimator = Estimator()
    for _ in range(200):
        estimator.observe(100, 1, 25, 20)
    estimator.observe(100, 1, 25, 400)
    assert estimator.estimate(100, 1, None).mean > 25 + 100


def test_the_estimate_begins_at_the_most_and_moves_by_a_fiftieth() -> None:
    estimator = Estimator()
    assert estimator.estimate(100, 2, 50) == TokenEstimate(130.0, 0.0, 130.0)
    assert estimator.estimate(100, 2, None) == TokenEstimate(2030.0, 0.0, 2030.0)
    estimator.observe(100, 2, 50, 20)
    assert estimator.per_byte == pytest.approx(0.304)
    assert (estimator.mean, estimator.variance) == (10.0, 25.0)
    found = estimator.estimate(100, 3, 50)
    assert (found.mean, found.variance) == (pytest.approx(60.4), 225.0)
    assert found.most == pytest.approx(180.4)
    assert estimator.estimate(0, 3, 9).mean == 27.0
    estimator.observe(0, 1, 50, 12)
    estimator.observe(100, 1, 0, 10)
    assert estimator.per_byte == pytest.approx(0.304)


@pytest.mark.parametrize(
    ("took", "mean", "variance"),
    [(12, 10.04, 24.58), (0, 9.8, 26.5), (40, 10.6, 42.5), (41, 17.75, 259.0)],
)
def test_a_surprise_is_six_deviations_above_the_mean(
    took: int, mean: float, variance: float
) -> None:
    estimator = Estimator(mean=10.0, variance=25.0)
    estimator.observe(100, 1, 30, took)
    assert estimator.mean == pytest.approx(mean)
    assert estimator.variance == pytest.approx(variance)


def test_a_window_holds_its_limit_to_the_last_token_and_for_a_minute_and_a_half_second() -> None:
    window = MinuteWindow(100)
    window.reserve(exactly(60), 0.0)
    assert window.wait(exactly(40), 0.0) == 0.0
    assert window.wait(exactly(41), 0.0) == 0.05
    assert window.wait(exactly(41), 60.48) == pytest.approx(0.02)
    assert window.wait(exactly(41), 60.5) == 1e-3
    assert window.wait(exactly(41), 60.51) == 0.0


def test_what_was_taken_leaves_with_its_request() -> None:
    window = MinuteWindow(100)
    first = window.reserve(exactly(60), 0.0)
    window.settle(first, 10.0)
    window.reserve(exactly(5), 30.0)
    assert window.wait(exactly(85), 30.0) == 0.0 < window.wait(exactly(86), 30.0)
    assert window.wait(exactly(95), 61.0) == 0.0 < window.wait(exactly(96), 61.0)
    window.settle(first, 50.0)
    assert window.wait(exactly(95), 61.0) == 0.0


@pytest.mark.parametrize(("per_minute", "is_room"), [(41, True), (40.9, False)])
def test_what_is_under_way_is_taken_for_seven_deviations_above_its_mean(
    per_minute: float, is_room: bool
) -> None:
    window = MinuteWindow(per_minute)
    window.reserve(TokenEstimate(10.0, 4.0, 100.0), 0.0)
    assert (window.wait(TokenEstimate(10.0, 5.0, 100.0), 0.0) == 0.0) is is_room
