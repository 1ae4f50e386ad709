import pytest

from orchestrator.core.compute import TotalFlops
from orchestrator.report.data.derived import (
    EfficiencyGain,
    Point,
    efficiency_gain,
    performance_gain,
    times_fewer,
)


@pytest.mark.parametrize(
    ("cot", "tts", "percent"),
    [
        (26.0, 66.2, 154.6), (41.4, 78.2, 88.9), (49.8, 80.6, 61.8), (31.6, 76.4, 141.8),
        (54.4, 85.6, 57.4), (76.8, 91.0, 18.5), (83.8, 91.8, 9.5),
    ],
)  # fmt: skip
def test_performance_gains_of_the_papers_table_5(cot, tts, percent):
    gain = performance_gain(cot, tts)
    assert gain is not None
    assert round(100 * gain, 1) == percent


def test_there_is_no_gain_relative_to_nothing():
    assert performance_gain(0.0, 0.4) is None


MAJORITY = [Point(4, 0.30), Point(16, 0.36), Point(64, 0.39), Point(256, 0.39)]


def test_the_gain_is_majoritys_cheapest_best_over_where_the_other_reaches_it():
    ours = [Point(16, 0.49), Point(1, 0.19), Point(4, 0.39)]
    assert efficiency_gain(MAJORITY, ours) == EfficiencyGain(pytest.approx(16.0))


def test_between_two_budgets_accuracy_grows_with_their_logarithm():
    ours = [Point(4, 0.38), Point(16, 0.40)]
    assert efficiency_gain(MAJORITY, ours) == EfficiencyGain(pytest.approx(64 / 8))


def test_a_curve_that_starts_above_gives_a_bound():
    assert efficiency_gain(MAJORITY, [Point(1, 0.5), Point(4, 0.6)]) == EfficiencyGain(
        64, "at least"
    )


def test_a_curve_may_need_more_as_qwen_32b_does_in_the_paper():
    gain = efficiency_gain(MAJORITY, [Point(4, 0.30), Point(64, 0.38), Point(256, 0.40)])
    assert gain is not None
    assert gain.ratio == pytest.approx(0.5)


def test_a_dip_on_the_way_does_not_hide_the_first_crossing():
    ours = [Point(4, 0.35), Point(8, 0.39), Point(16, 0.3), Point(32, 0.5)]
    assert efficiency_gain(MAJORITY, ours) == EfficiencyGain(pytest.approx(8.0))


@pytest.mark.parametrize("ours", [[], [Point(4, 0.1)], [Point(4, 0.1), Point(64, 0.38)]])
def test_what_never_reaches_it_has_no_gain(ours):
    assert efficiency_gain(MAJORITY, ours) is None
    assert efficiency_gain([], MAJORITY) is None


def test_all_the_flops_of_the_papers_table_4():
    """3B with test-time scaling against 405B: pre-training decides, at 225 times fewer."""
    small = TotalFlops(pretraining=1.62e23, inference=3.07e17)
    large = TotalFlops(pretraining=3.65e25, inference=4.25e17)
    assert times_fewer(large, small) == pytest.approx(225.3, abs=0.1)
    assert small.total == pytest.approx(1.62e23, rel=1e-5)
