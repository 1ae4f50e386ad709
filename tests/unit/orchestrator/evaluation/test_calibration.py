import random

import pytest

from orchestrator.evaluation.calibration import calibration
from orchestrator.evaluation.samples import ALL_RIGHT, ScoredSolution
from tests.unit.orchestrator.evaluation.conftest import judged


def one_step(shift: float = 0.0, count: int = 4000, seed: int = 0) -> list[ScoredSolution]:
    """Solutions of one step, right as often as its score less ``shift`` says."""
    rng = random.Random(seed)
    found = []
    for _ in range(count):
        score = rng.random()
        found.append(judged([score], ALL_RIGHT if rng.random() < score - shift else 0))
    return found


def test_scores_that_mean_what_they_say_are_calibrated() -> None:
    measured = calibration(one_step())
    assert measured.ece < 0.03
    assert measured.brier == pytest.approx(1 / 6, abs=0.01)  # the mean of p (1 - p)
    assert measured.bias.low < 0 < measured.bias.high
    assert sum(bin.low <= bin.mean_score <= bin.high for bin in measured.bins) >= 8


def test_scores_that_promise_too_much_are_overconfident_by_that_much() -> None:
    measured = calibration(one_step(shift=0.2))
    assert 0.15 < measured.ece < 0.21  # below a score of 0.2 there is less to lose
    assert 0 < measured.bias.low < measured.bias.value < measured.bias.high
    assert measured.bias.value == pytest.approx(measured.mean_score - measured.right)


def test_a_case_by_hand() -> None:
    """Known steps: 0.9 right, 0.7 right, 0.25 wrong, 0.6 wrong; the step after the error is not."""
    measured = calibration([judged([0.9, 0.25, 0.99], 1), judged([0.7]), judged([0.6], 0)])
    assert (measured.steps, measured.right) == (4, 0.5)
    assert measured.mean_score == pytest.approx(0.6125)
    assert measured.ece == pytest.approx((0.1 + 0.3 + 0.25 + 0.6) / 4)
    assert measured.brier == pytest.approx((0.01 + 0.09 + 0.0625 + 0.36) / 4)
    assert [(bin.start, bin.steps, bin.right) for bin in measured.bins] == [
        (0.2, 1, 0.0),
        (0.6, 1, 0.0),
        (0.7, 1, 1.0),
        (0.9, 1, 1.0),
    ]


def test_a_score_of_1_lies_in_the_last_bin() -> None:
    (bin,) = calibration([judged([1.0])]).bins
    assert (bin.start, bin.end, bin.steps) == (0.9, 1.0, 1)


def test_many_steps_of_one_solution_do_not_narrow_the_interval_of_the_bias() -> None:
    rng = random.Random(0)
    alone, repeated = [], []
    for _ in range(100):
        score = rng.random()
        alone.append(judged([score]))
        repeated.append(judged([score] * 10))
    one, ten = calibration(alone).bias, calibration(repeated).bias
    assert (one.low, one.high) == pytest.approx((ten.low, ten.high))


def test_nothing_to_measure_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one sample"):
        calibration([])
