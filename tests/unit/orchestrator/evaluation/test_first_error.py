from itertools import accumulate, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.evaluation.first_error import (
    at_threshold,
    best_threshold,
    cross_fitted,
    curve,
    first_error,
    window,
)
from orchestrator.evaluation.samples import ALL_RIGHT, ScoredSolution
from tests.unit.orchestrator.evaluation.conftest import judged, synthetic

scores = st.lists(st.floats(0, 1), min_size=1, max_size=6)


@pytest.mark.parametrize(
    ("given_scores", "threshold", "step"),
    [
        ([0.9, 0.4, 0.1], 0.5, 1),
        ([0.9, 0.8], 0.5, ALL_RIGHT),
        ([0.5], 0.5, ALL_RIGHT),
        ([0.49, 0.9], 0.5, 0),
    ],
)
def test_the_first_step_below_the_threshold_is_the_predicted_error(
    given_scores: list[float], threshold: float, step: int
) -> None:
    assert first_error(given_scores, threshold) == step


@given(scores, st.floats(0, 1))
def test_the_running_minimum_predicts_the_same_first_error(
    raw: list[float], threshold: float
) -> None:
    assert first_error(list(accumulate(raw, min)), threshold) == first_error(raw, threshold)


@given(scores, st.data(), st.floats(0, 1))
def test_a_window_holds_exactly_the_thresholds_that_predict_the_label(
    raw: list[float], data: st.DataObject, threshold: float
) -> None:
    label = data.draw(st.integers(-1, len(raw) - 1))
    low, high = window(judged(raw, label))
    assert (low < threshold <= high) == (first_error(raw, threshold) == label)


def test_f1_is_the_harmonic_mean_of_both_accuracies_as_in_processbench() -> None:
    """Three samples with an error, two of them found exactly; four without, three passed:
    2 · (2/3) · (3/4) / (2/3 + 3/4) = 12/17."""
    measured = at_threshold(
        [
            judged([0.9, 0.2, 0.8], 1),
            judged([0.1], 0),
            judged([0.3, 0.2], 1),  # an error is seen, one step too early
            judged([0.9, 0.9]),
            judged([0.6]),
            judged([0.5, 0.7]),  # on the threshold is not below it
            judged([0.9, 0.4]),
        ],
        0.5,
    )
    assert measured.wrong is not None and measured.right is not None and measured.f1 is not None
    assert (measured.wrong.value, measured.wrong.samples) == (pytest.approx(2 / 3), 3)
    assert (measured.right.value, measured.right.samples) == (0.75, 4)
    assert measured.f1.value == pytest.approx(12 / 17)
    for estimate in (measured.wrong, measured.right, measured.f1):
        assert 0 <= estimate.low < estimate.value < estimate.high <= 1


def test_f1_is_0_where_nothing_is_predicted_right() -> None:
    measured = at_threshold([judged([0.9], 0), judged([0.1])], 0.5)
    assert measured.f1 is not None and measured.f1.value == 0.0


def test_a_perfect_f1_of_few_samples_keeps_an_interval() -> None:
    few = at_threshold([judged([0.1], 0), judged([0.9])] * 4, 0.5).f1
    many = at_threshold([judged([0.1], 0), judged([0.9])] * 400, 0.5).f1
    assert few is not None and many is not None
    assert few.value == few.high == many.value == 1.0
    assert few.low < 0.9 < many.low < 1.0


def test_the_interval_of_f1_covers_its_long_run_value_about_95_times_in_100() -> None:
    truth = at_threshold(synthetic(20_000), 0.5).f1
    assert truth is not None
    measured = [at_threshold(synthetic(100, seed=seed), 0.5).f1 for seed in range(1, 51)]
    covered = sum(f1 is not None and f1.low <= truth.value <= f1.high for f1 in measured)
    assert 44 <= covered <= 50


@pytest.mark.parametrize("label", [0, ALL_RIGHT])
def test_without_one_of_the_classes_there_is_no_f1(label: int) -> None:
    only = [judged([0.4], label, problem=f"{i}") for i in range(10)]
    measured = at_threshold(only, 0.5)
    assert measured.f1 is None
    assert (measured.wrong is None) == (label == ALL_RIGHT)
    assert (measured.right is None) == (label == 0)
    assert best_threshold(only) is None and cross_fitted(only) is None
    assert curve(only).f1 is None


def test_no_samples_give_no_number() -> None:
    measured = at_threshold([], 0.5)
    assert (measured.wrong, measured.right, measured.f1) == (None, None, None)


def _f1(samples: list[ScoredSolution], threshold: float) -> float:
    f1 = at_threshold(samples, threshold).f1
    assert f1 is not None
    return f1.value


def test_no_threshold_beats_the_best_one() -> None:
    samples = synthetic(60, sharpness=1.5)
    best = best_threshold(samples)
    assert best is not None
    everywhere = sorted({0.0, 1.0, *(score for one in samples for score in one.scores)})
    between = [(low + high) / 2 for low, high in pairwise(everywhere)]
    assert _f1(samples, best) == max(_f1(samples, t) for t in [*everywhere, *between])


def test_the_best_threshold_of_separable_scores_lies_midway() -> None:
    samples = [judged([0.2], 0), judged([0.9, 0.6]), judged([0.8, 0.1], 1)]
    assert best_threshold(samples) == pytest.approx(0.4)


def test_a_cross_fitted_threshold_is_measured_on_samples_it_was_not_chosen_on() -> None:
    """Pure noise: the best of all thresholds looks better than it is, a cross-fitted one does not
    on average."""
    flattery = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        noise = [
            judged([float(rng.random())], label, problem=f"{seed}/{i}")
            for i, label in enumerate([0, ALL_RIGHT] * 12)
        ]
        honest, best = cross_fitted(noise), best_threshold(noise)
        assert honest is not None and honest.f1 is not None and best is not None
        assert len(honest.thresholds) == 2
        flattery.append(_f1(noise, best) - honest.f1.value)
    assert np.mean(flattery) > 0.05


def test_solutions_of_one_problem_stay_in_one_half() -> None:
    same = [judged([0.1], 0, problem="the same")] * 20 + [judged([0.9], problem="the same")] * 20
    assert cross_fitted(same) is None


def test_the_curve_agrees_with_the_measure_at_each_threshold() -> None:
    samples = synthetic(80)
    drawn = curve(samples, points=11)
    assert drawn.f1 is not None and drawn.thresholds == pytest.approx([i / 10 for i in range(11)])
    for threshold, f1 in zip(drawn.thresholds, drawn.f1, strict=True):
        assert f1 == pytest.approx(_f1(samples, threshold))
