import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.evaluation.ranks import auroc, ranks, spearman

values = st.lists(st.integers(0, 5), min_size=1, max_size=12)


def test_equal_values_share_the_mean_of_their_ranks() -> None:
    assert ranks([3, 1, 3, 2]).tolist() == [3.5, 1.0, 3.5, 2.0]


@given(values, values)
def test_auroc_is_the_share_of_pairs_in_the_right_order_ties_counting_half(
    positives: list[int], negatives: list[int]
) -> None:
    pairs = [(p > n) + 0.5 * (p == n) for p in positives for n in negatives]
    assert auroc(positives, negatives) == pytest.approx(sum(pairs) / len(pairs))


def test_auroc_needs_both_sides() -> None:
    assert auroc([], [1.0]) is None and auroc([1.0], []) is None


def test_spearman_of_a_known_case() -> None:
    """Ranks 1..5 against 2 1 4 3 5: 1 - 6 · 4 / (5 · 24) = 0.8."""
    found = spearman([10, 20, 30, 40, 50], [2, 1, 4, 3, 5])
    assert found is not None and found.value == pytest.approx(0.8)
    assert found.low < 0.8 < found.high <= 1 and found.samples == 5


def test_spearman_is_1_for_any_rising_relation() -> None:
    found = spearman([1, 2, 3, 4], [1, 10, 100, 1000])
    assert found is not None and (found.value, found.low, found.high) == (1, 1, 1)


@pytest.mark.parametrize(
    ("ours", "theirs"), [([1, 2, 3], [1, 2, 3]), ([1, 1, 1, 1], [1, 2, 3, 4]), ([], [])]
)
def test_spearman_of_too_little_is_none(ours: list[float], theirs: list[float]) -> None:
    assert spearman(ours, theirs) is None and spearman(theirs, ours) is None


def test_the_interval_of_no_correlation_covers_zero_about_95_times_in_100() -> None:
    rng = random.Random(0)
    covered = 0
    for _ in range(300):
        found = spearman([rng.random() for _ in range(40)], [rng.random() for _ in range(40)])
        assert found is not None
        covered += found.low <= 0 <= found.high
    assert 0.91 < covered / 300 < 0.99
