"""What each arm is worth in each bin, some of them tried on a part of the problems."""

from dataclasses import replace

import numpy as np
import pytest

from orchestrator.core.voting import Majority
from orchestrator.optimal.arms import Arm
from orchestrator.optimal.difficulty.predictor import Labelled
from orchestrator.optimal.profiling.measured import USED
from orchestrator.optimal.profiling.shrinkage import shrunk
from orchestrator.optimal.profiling.table import Table, tabulate
from orchestrator.optimal.profiling.trials import Trials


def trials(right: list[list[float]], tokens: list[float]) -> Trials:
    """One trial a problem: ``right[p][a]``, each arm using ``tokens[a]``."""
    outcomes = np.array(right)[:, None, :]
    used = np.zeros((*outcomes.shape, len(USED)))
    used[..., 0] = tokens
    used[np.isnan(outcomes)] = np.nan
    return Trials(
        problems=tuple(f"p{i}" for i in range(len(right))),
        arms=tuple(Arm(strategy="majority", settings={"n": i}, vote=Majority()) for i in tokens),
        labelled=tuple(
            (Labelled(problem=f"p{i}", shown={}, right=1, samples=2),) for i in range(len(right))
        ),
        right=outcomes,
        used=used,
    )


def table(found: Trials, bins: list[int]) -> Table:
    return tabulate(found, np.array(bins)[:, None])


def test_more_problems_make_smaller_errors() -> None:
    few = table(trials([[1.0, 0.0], [0.0, 1.0]] * 10, [1.0, 2.0]), [0] * 20)
    many = table(trials([[1.0, 0.0], [0.0, 1.0]] * 90, [1.0, 2.0]), [0] * 180)
    assert many.errors[0, 0] == pytest.approx(few.errors[0, 0] / 3, rel=0.01)


def test_an_arm_that_always_wins_is_worth_choosing_and_a_dearer_worse_one_is_not() -> None:
    found = trials([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0]] * 30, [1.0, 10.0, 5.0])
    assert table(found, [0] * 60).fronts[0] == ((0, 1), (0, 1))


def test_an_arm_that_wins_by_less_than_half_a_standard_error_is_likely_and_not_sure() -> None:
    wins, loses = [[0.0, 1.0]], [[1.0, 0.0]]
    nearly = table(trials([*wins * 11, *loses * 10], [1.0, 2.0]), [0] * 21)
    assert nearly.fronts[0] == ((0,), (0, 1))
    surely = table(trials([*wins * 13, *loses * 8], [1.0, 2.0]), [0] * 21)
    assert surely.fronts[0] == ((0, 1), (0, 1))


def test_steps_too_small_one_by_one_are_sure_together() -> None:
    first = [[0.0, 1.0, 1.0]] * 6 + [[1.0, 0.0, 0.0]] * 5
    second = [[0.0, 0.0, 1.0]] * 7 + [[1.0, 1.0, 0.0]] * 5
    found = table(trials([*first, *second] * 2, [1.0, 2.0, 3.0]), [0] * 46)
    assert found.fronts[0] == ((0, 2), (0, 1, 2))


def test_a_pool_takes_no_arm_that_a_tree_search_follows() -> None:
    found = trials([[1.0, 1.0, 1.0], [0.0, 1.0, 1.0], [0.0, 0.0, 1.0]] * 20, [1.0, 2.0, 3.0])
    followed = replace(found.arms[1], settings={"n": 2, "then": {"strategy": "dvts", "n": 16}})
    found = replace(found, arms=(found.arms[0], followed, found.arms[2]))
    assert table(found, [0] * 60).fronts[0].sure == (0, 1, 2)
    assert table(found, [0] * 60).rungs[0].sure == (0, 2)


def test_errors_count_the_problems_an_arm_was_tried_on() -> None:
    nan = float("nan")
    tried = [[1.0, 1.0], [0.0, 0.0]] * 10
    found = table(trials([*tried, *[[1.0, nan], [0.0, nan]] * 80], [1.0, 2.0]), [0] * 180)
    assert found.errors[0, 1] == pytest.approx(3 * found.errors[0, 0], rel=0.05)
    assert found.measured[0].tolist() == [0.5, 0.5]
    assert found.used[0, :, 0].tolist() == [1.0, 2.0]


def test_an_arm_tried_on_the_easier_problems_alone_is_no_better_for_that() -> None:
    nan = float("nan")
    easy, hard = [[1.0, 1.0]] * 40, [[0.0, nan]] * 40
    assert table(trials([*easy, *hard], [1.0, 2.0]), [0] * 80).fronts[0] == ((0,), (0,))


def test_a_bin_in_which_an_arm_was_never_tried_expects_what_the_others_tell() -> None:
    nan = float("nan")
    easy, hard = [[0.8, 0.9], [1.0, 1.0]] * 20, [[0.1, nan], [0.3, nan]] * 20
    found = table(trials([*easy, *hard], [1.0, 2.0]), [0] * 40 + [2] * 40)
    assert np.isnan(found.measured[2, 1])
    assert 0.0 <= found.right[2, 1] <= 1.0
    assert found.used[2, 1, 0] == 2.0
    assert found.fronts[2] == ((0,), (0,))


def test_noise_is_pooled_away_and_real_differences_stay() -> None:
    overall = np.array([0.5, 0.6, 0.7])
    noisy = shrunk(np.array([[0.7, 0.6, 0.5]]), np.full((1, 3), 0.5), overall)
    assert np.ptp(noisy) < 0.25
    sure = shrunk(np.array([[0.2, 0.9, 0.4]]), np.full((1, 3), 0.001), overall)
    assert sure == pytest.approx(np.array([[0.2, 0.9, 0.4]]), abs=0.01)
