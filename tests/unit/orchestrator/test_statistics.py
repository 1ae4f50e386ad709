import math

import numpy as np
import pytest

from orchestrator.statistics import paired_bootstrap, wilson


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    [
        # Newcombe (1998), table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (10, 10, 0.7225, 1.0),
    ],
)
def test_wilson_gives_the_published_intervals(
    correct: int, total: int, low: float, high: float
) -> None:
    assert wilson(correct, total) == pytest.approx((low, high), abs=5e-5)


def test_wilson_contains_the_rate_it_is_of() -> None:
    for total in range(1, 60):
        for correct in range(total + 1):
            low, high = wilson(correct, total)
            assert 0 <= low <= correct / total <= high <= 1


def test_wilson_without_trials_says_nothing() -> None:
    assert wilson(0, 0) == (0, 1)


def test_the_bootstrap_meets_the_normal_interval_of_many_problems() -> None:
    wins, losses, ties = 300, 180, 1520
    ours = [True] * wins + [False] * losses + [True] * ties
    theirs = [False] * wins + [True] * losses + [True] * ties
    total = wins + losses + ties
    mean = (wins - losses) / total
    half = 1.96 * math.sqrt(((wins + losses) / total - mean**2) / total)
    result = paired_bootstrap(ours, theirs)
    assert result.difference == pytest.approx(0.06)
    assert result.low == pytest.approx(mean - half, abs=0.001)
    assert result.high == pytest.approx(mean + half, abs=0.001)


def test_drawing_counts_is_the_same_as_drawing_problems() -> None:
    draw = np.random.default_rng(1)
    ours, theirs = draw.random(150) < 0.7, draw.random(150) < 0.5
    gains = ours.astype(int) - theirs.astype(int)
    means = gains[draw.integers(0, 150, size=(10_000, 150))].mean(axis=1)
    result = paired_bootstrap(ours.tolist(), theirs.tolist())
    assert (result.low, result.high) == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.01)


def test_the_bootstrap_of_equal_vectors_has_no_width() -> None:
    assert paired_bootstrap([True, False] * 9, [True, False] * 9) == (0, 0, 0)


def test_the_bootstrap_is_seeded() -> None:
    ours, theirs = [True, True, False] * 20, [False, True, True] * 20
    assert paired_bootstrap(ours, theirs) == paired_bootstrap(ours, theirs)
    assert paired_bootstrap(ours, theirs, resamples=200, seed=0) != paired_bootstrap(
        ours, theirs, resamples=200, seed=5
    )


def test_the_bootstrap_refuses_what_is_not_paired() -> None:
    with pytest.raises(ValueError):
        paired_bootstrap([True, False], [True])
    with pytest.raises(ValueError, match="at least one problem"):
        paired_bootstrap([], [])
