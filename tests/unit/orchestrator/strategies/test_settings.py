"""Settings that no search can follow are refused where a strategy is made."""

from typing import Any

import pytest

from orchestrator.errors import ConfigError
from orchestrator.strategies import STRATEGIES
from orchestrator.strategies.settings import Stop

SAMPLED = ["cot", "majority", "best_of_n", "beam_search", "dvts"]
NAN = float("nan")


def of(strategy: str, **settings: Any) -> Any:
    return STRATEGIES[strategy](**settings)


@pytest.mark.parametrize("strategy", SAMPLED)
@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"temperature": -1}, "temperature = -1 must lie between 0 and 2"),
        ({"temperature": 70}, "temperature = 70 must lie between 0 and 2"),
        ({"temperature": NAN}, "temperature = nan must lie between 0 and 2"),
        ({"temperature": float("inf")}, "temperature = inf must lie between 0 and 2"),
        ({"top_p": 0}, "top_p = 0 must be above 0 and at most 1"),
        ({"top_p": 7}, "top_p = 7 must be above 0 and at most 1"),
        ({"top_p": 95}, "top_p = 95 must be above 0 and at most 1"),
        ({"top_p": NAN}, "top_p = nan must be above 0 and at most 1"),
        ({"max_tokens": 0}, "max_tokens = 0 must be at least 1"),
        ({"max_tokens": -5}, "max_tokens = -5 must be at least 1"),
    ],
)
def test_a_sampling_that_makes_no_sense_is_refused(
    strategy: str, setting: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        of(strategy, **setting)


@pytest.mark.parametrize("strategy", ["beam_search", "dvts"])
@pytest.mark.parametrize("depth", [0, -3])
def test_a_tree_without_depth_is_refused(strategy: str, depth: int) -> None:
    with pytest.raises(ConfigError, match=f"max_depth = {depth} must be at least 1"):
        of(strategy, max_depth=depth)


@pytest.mark.parametrize("strategy", ["majority", "best_of_n", "beam_search", "dvts"])
def test_several_samples_at_temperature_0_are_refused(strategy: str) -> None:
    with pytest.raises(ConfigError, match="n = 8 samples at temperature = 0 are all the same"):
        of(strategy, n=8, temperature=0)


def test_one_sample_at_temperature_0_is_a_greedy_solution() -> None:
    assert of("cot").temperature == 0
    assert of("best_of_n", n=1, temperature=0).n == 1


@pytest.mark.parametrize("strategy", SAMPLED)
def test_the_ends_of_the_ranges_are_taken(strategy: str) -> None:
    assert of(strategy, temperature=2, top_p=1, max_tokens=1).temperature == 2
    assert of(strategy, temperature=1e-3, top_p=1e-3).top_p == 1e-3


@pytest.mark.parametrize("strategy", ["beam_search", "dvts"])
@pytest.mark.parametrize(
    ("n", "width", "said"),
    [
        (6, 4, "n = 6 is not a multiple of width = 4; try n = 8"),
        (9, 4, "n = 9 is not a multiple of width = 4; try n = 8"),
        (1, 4, "n = 1 is not a multiple of width = 4; try n = 4"),
        (0, 4, "n = 0 is not a multiple of width = 4; try n = 4"),
        (4, 0, "width = 0 must be at least 1"),
    ],
)
def test_a_budget_that_the_width_does_not_divide_is_refused_with_the_nearest_that_it_does(
    strategy: str, n: int, width: int, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        of(strategy, n=n, width=width)


@pytest.mark.parametrize("strategy", ["beam_search", "dvts"])
def test_the_smallest_tree_search_follows_one_path_by_one_step(strategy: str) -> None:
    smallest = of(strategy, n=1, width=1, max_depth=1, temperature=0)
    assert (smallest.n, smallest.width, smallest.max_depth) == (1, 1, 1)
    assert of(strategy, n=4, width=4).n == 4


def test_the_defaults_are_the_papers() -> None:
    for name in ("beam_search", "dvts"):
        search = of(name)
        assert (search.n, search.width, search.max_depth) == (16, 4, 40)
    assert (of("majority").n, of("best_of_n").n) == (16, 16)
    stop = Stop(rule="beta")
    assert (stop.confidence, stop.batch) == (0.95, 4)


@pytest.mark.parametrize("batch", [0, -1])
def test_a_batch_without_a_sample_is_refused(batch: int) -> None:
    with pytest.raises(ConfigError, match=f"batch = {batch} must be at least 1"):
        Stop(rule="beta", batch=batch)
    assert Stop(rule="beta", batch=1, confidence=0.501).batch == 1


@pytest.mark.parametrize("logprobs", [None, False, True])
def test_samples_tell_how_likely_they_were_where_that_is_asked_for(logprobs: bool | None) -> None:
    assert of("cot", logprobs=logprobs).sampling.logprobs is bool(logprobs)
    assert not of("cot", logprobs=logprobs).sampling.question_logprob
