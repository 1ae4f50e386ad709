"""Difficulty bins."""

import pytest

from orchestrator.core.difficulty import (
    by_quantiles,
    difficulty,
    independent_draws,
    independent_samples,
    pass_at_1,
)
from orchestrator.core.node import FORKS
from orchestrator.core.records import LeafRecord, Record
from tests.unit.orchestrator.conftest import record


def test_pass_at_1_is_the_share_of_right_samples() -> None:
    assert pass_at_1([True, False, False, False]) == 0.25
    with pytest.raises(ValueError, match="at least one sample"):
        pass_at_1([])


@pytest.mark.parametrize(
    ("rate", "bin"),
    [(1, "easy"), (0.5, "easy"), (0.499, "medium"), (0.1, "medium"), (0.099, "hard"), (0, "hard")],
)
def test_bins_begin_at_half_and_at_a_tenth(rate: float, bin: str) -> None:
    assert difficulty(rate) == bin


def test_quantiles_are_thirds_of_these_problems_the_easiest_first() -> None:
    assert by_quantiles([0.9, 0.2, 1.0, 0.0, 0.5, 0.95]) == [
        "medium", "hard", "easy", "hard", "medium", "easy",
    ]  # fmt: skip
    assert by_quantiles([1.0, 1.0, 1.0]) == ["easy", "medium", "hard"]


def sampled(n: int, strategy: str = "best_of_n", **settings: object) -> Record:
    leaves = [(i,) for i in range(4)] + [(FORKS + 4, i) for i in range(n - 4)]
    return record(
        n=n,
        strategy=strategy,
        settings={"temperature": 0.7, **settings},
        leaves=tuple(
            LeafRecord(
                path=path,
                answer="7",
                correct=True,
                finish="stop",
                scores=(),
                tokens=1,
                steps=("7",),
            )
            for path in leaves
        ),
    )


@pytest.mark.parametrize("strategy", ["cot", "majority", "best_of_n"])
def test_every_sample_of_whole_solutions_is_independent(strategy: str) -> None:
    drawn = sampled(8, strategy)
    assert independent_draws(drawn) == 8
    assert len(independent_samples(drawn)) == 8


def test_samples_of_a_guided_search_and_greedy_ones_are_not() -> None:
    for drawn in (
        sampled(8, "beam_search"),
        sampled(8, temperature=0),
        sampled(8, temperature=0.0),
    ):
        assert independent_draws(drawn) == 0
        assert independent_samples(drawn) == []


def test_of_sampling_that_stops_early_the_first_batch_is() -> None:
    drawn = sampled(8, stop={"rule": "beta", "batch": 4})
    assert independent_draws(drawn) == 4
    assert [leaf.path for leaf in independent_samples(drawn)] == [(0,), (1,), (2,), (3,)]
    assert independent_draws(sampled(4, stop={"rule": "beta", "batch": 16})) == 4
