"""Routing judged on problems it was not fitted to."""

import random

import numpy as np
from numpy.typing import NDArray

from orchestrator.core.voting import Majority
from orchestrator.optimal.arms import Arm
from orchestrator.optimal.difficulty.predictor import Labelled
from orchestrator.optimal.profiling.crossfit import cross_fitted, folds, oracle, without
from orchestrator.optimal.profiling.measured import USED
from orchestrator.optimal.profiling.trials import Trials

PROBLEMS = 120

CHEAP, DEAR = 10.0, 100.0


def trials(right: NDArray[np.float64], *, hard: list[bool], shown: list[float]) -> Trials:
    """One trial a problem: ``right[p, a]``, one sample in five solving hard problems, whose
    pilots show ``shown[p]``; the first arm is cheap and the others are dear."""
    used = np.zeros((len(right), 1, right.shape[1], len(USED)))
    used[..., 0] = [CHEAP] + [DEAR] * (right.shape[1] - 1)
    return Trials(
        problems=tuple(f"p{i}" for i in range(len(right))),
        arms=tuple(
            Arm(strategy="majority", settings={"n": n}, vote=Majority())
            for n in range(right.shape[1])
        ),
        labelled=tuple(
            (
                Labelled(
                    problem=f"p{i}",
                    shown={"agreement": shown[i]},
                    right=2 if hard[i] else 9,
                    samples=10,
                ),
            )
            for i in range(len(right))
        ),
        right=right[:, None, :],
        used=used,
    )


HARD = [i % 3 == 0 for i in range(PROBLEMS)]

SEARCH_SOLVES_THE_HARD = np.array([[0.0 if hard else 1.0, 1.0] for hard in HARD])


def test_folds_part_all_problems_and_none_is_fitted_to_its_own() -> None:
    parts = folds(PROBLEMS)
    assert sorted(i for part in parts for i in part) == list(range(PROBLEMS))
    found = trials(SEARCH_SOLVES_THE_HARD, hard=HARD, shown=[0.0] * PROBLEMS)
    for part in parts:
        assert not {f"p{i}" for i in part} & set(without(found, part).problems)


def test_what_pilots_show_sends_the_hard_problems_to_the_search() -> None:
    shown = [0.25 if hard else 1.0 for hard in HARD]
    found = trials(SEARCH_SOLVES_THE_HARD, hard=HARD, shown=shown)
    (routed,) = cross_fitted(found, [50.0], pilots=4)
    assert routed.right.mean() == 1.0
    assert routed.tokens.tolist() == [DEAR if hard else CHEAP for hard in HARD]


def test_where_pilots_show_nothing_the_true_difficulty_is_worth_what_they_lack() -> None:
    noise = random.Random(0)
    found = trials(
        SEARCH_SOLVES_THE_HARD, hard=HARD, shown=[noise.random() for _ in range(PROBLEMS)]
    )
    (blind,) = cross_fitted(found, [50.0], pilots=4)
    (knowing,) = cross_fitted(found, [50.0], pilots=4, knowing=True)
    assert knowing.right.mean() == 1.0
    assert blind.right.mean() < 0.8


def test_the_luckiest_of_many_arms_looks_good_to_the_oracle_and_not_off_the_fold() -> None:
    noise = np.random.default_rng(0)
    right = (noise.random((PROBLEMS, 40)) < 0.5).astype(float)
    found = trials(right, hard=HARD, shown=[1.0] * PROBLEMS)
    (routed,) = cross_fitted(found, [DEAR], pilots=4, knowing=True)
    (chosen,) = oracle(found, [DEAR])
    assert chosen.right.mean() > routed.right.mean() + 0.05
    assert abs(routed.right.mean() - 0.5) < 0.1
