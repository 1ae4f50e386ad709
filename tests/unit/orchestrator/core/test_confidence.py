import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.confidence import (
    FLOOR,
    MEASURES,
    TAIL,
    WINDOW,
    Confidence,
    confidence,
)

LOGPROBS = st.lists(st.floats(-20, 0), min_size=1, max_size=3 * TAIL)


def test_a_sample_without_tokens_has_no_confidence() -> None:
    assert confidence([]) is None


def test_a_short_sample_is_as_sure_of_its_parts_as_of_the_whole() -> None:
    assert confidence([-0.5, -1.5]) == Confidence.level(-1.0)


def test_the_tail_is_the_last_tokens_and_the_lowest_window_the_worst_ones_in_a_row() -> None:
    unsure, sure, end = [-2.0] * WINDOW, [0.0] * WINDOW, [-0.25] * TAIL

    found = confidence([*sure, *unsure, *sure, *end])

    assert found is not None
    assert found.tail == -0.25
    assert found.lowest == -2.0
    assert found.mean == pytest.approx((-2.0 * WINDOW - 0.25 * TAIL) / (3 * WINDOW + TAIL))


@given(LOGPROBS)
def test_every_measure_is_a_mean_of_some_of_the_tokens(logprobs: list[float]) -> None:
    found = confidence(logprobs)

    assert found is not None
    for measure in MEASURES:
        assert min(logprobs) - 1e-9 <= getattr(found, measure) <= max(logprobs) + 1e-9


@given(LOGPROBS)
def test_the_lowest_window_is_the_lowest_of_all_windows(logprobs: list[float]) -> None:
    starts = range(max(1, len(logprobs) - WINDOW + 1))
    means = [math.fsum(part) / len(part) for part in (logprobs[i : i + WINDOW] for i in starts)]

    found = confidence(logprobs)

    assert found is not None
    assert found.lowest == pytest.approx(min(means), abs=1e-9)


def test_a_stand_in_for_an_unknown_logprob_does_not_drown_the_others() -> None:
    assert confidence([-9999.0, 0.0]) == Confidence.level(FLOOR / 2)
    assert confidence([-math.inf, 0.0]) == Confidence.level(FLOOR / 2)


def test_rounding_above_zero_counts_as_certainty() -> None:
    assert confidence([1e-7, 0.0]) == Confidence.level(0.0)


@pytest.mark.parametrize("wrong", [math.nan, 0.5, math.inf])
def test_what_is_no_logprob_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="no log-probability"):
        confidence([-1.0, wrong])
