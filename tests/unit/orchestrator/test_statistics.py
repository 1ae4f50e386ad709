import math

import numpy as np
import pytest

from orchestrator.statistics import mean_interval, paired_bootstrap, sign_test, unseen, wilson


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


@pytest.mark.parametrize("total", [1, 2, 30, 500])
def test_problems_that_are_all_alike_leave_room_for_others(total: int) -> None:
    """Clopper & Pearson's upper bound of no event in 30 is 11.57 %."""
    same = paired_bootstrap([True] * total, [True] * total)
    assert (same.difference, -same.low, same.high) == (0, unseen(total), unseen(total))
    better = paired_bootstrap([True] * total, [False] * total)
    assert (better.difference, better.high) == (1, 1)
    assert better.low == pytest.approx(1 - 2 * unseen(total))
    assert unseen(30) == pytest.approx(0.1157, abs=1e-4)


def test_a_single_problem_decides_nothing() -> None:
    low, high = paired_bootstrap([1.0], [0.0])[1:]
    assert low < 0 < high
    assert mean_interval([0.5]) == pytest.approx((0.0125, 0.9875))


def test_the_interval_of_a_mean_stays_within_what_a_mean_can_be() -> None:
    assert mean_interval([0.0] * 30) == pytest.approx((0, 0.1157), abs=1e-4)
    assert mean_interval([1.0] * 30) == pytest.approx((0.8843, 1), abs=1e-4)
    low, high = mean_interval([0.25, 0.5, 0.75, 1.0] * 25)
    half = 1.96 * math.sqrt(0.078125 / 100)
    assert (low, high) == pytest.approx((0.625 - half, 0.625 + half), abs=0.003)
    with pytest.raises(ValueError, match="at least one problem"):
        mean_interval([])


@pytest.mark.parametrize(
    ("wins", "losses", "chance"),
    [(0, 0, 1), (1, 1, 1), (5, 0, 0.0625), (6, 0, 0.03125), (9, 2, 0.065430), (10, 2, 0.038574)],
)
def test_the_sign_test_is_the_exact_one(wins: int, losses: int, chance: float) -> None:
    assert sign_test(wins, losses) == pytest.approx(chance, abs=1e-6)
    assert sign_test(losses, wins) == sign_test(wins, losses)


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
