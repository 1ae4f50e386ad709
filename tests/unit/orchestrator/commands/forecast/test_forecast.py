import pytest

from orchestrator.commands.forecast.forecast import forecast
from orchestrator.commands.forecast.machines import read_fleet
from orchestrator.config.run import LimitsConfig, validate
from orchestrator.errors import ConfigError

CONFIG = {
    "task": {"name": "math500"},
    "policies": {"policy": {}},
    "prms": {"prm": {"family": "qwen_math"}},
    "cells": [{"policy": "policy", "prm": "prm", "strategy": "beam_search", "n": 8}],
}


def test_a_plan_says_what_holds_the_run_up_and_more_of_it_helps() -> None:
    config = validate(CONFIG, "run.yaml")
    few = forecast(
        config, read_fleet("policy=2xH100:1B,prm=1xH100:7B"), problems=100, sample=40, gpu_hour=2.0
    )
    more = forecast(config, read_fleet("policy=2xH100:1B,prm=4xH100:7B"), problems=100, sample=40)
    assert few.bottleneck == "prm"
    assert few.dollars == pytest.approx(2 * few.gpu_hours, abs=0.01)
    assert more.dollars is None
    assert more.hours < 0.5 * few.hours
    assert sum(load.generated_tokens for load in few.loads) > 100_000


def test_the_task_of_the_simulated_models_has_a_name() -> None:
    config = validate(CONFIG | {"task": {"name": "sums", "problems": 12}}, "run.yaml")
    assert forecast(config, read_fleet("policy=1xH100:1B,prm=1xH100:7B")).problems == 12


def test_more_problems_take_in_proportion() -> None:
    config = validate(CONFIG, "run.yaml")
    fleet = read_fleet("policy=2xH100:1B,prm=1xH100:7B")
    once, tenfold = (
        forecast(config, fleet, problems=problems, sample=30) for problems in (100, 1000)
    )
    assert tenfold.hours == pytest.approx(10 * once.hours, rel=0.1)


def test_few_trees_in_flight_take_in_proportion_though_no_gpu_is_busy() -> None:
    config = validate(CONFIG | {"trees": 2}, "run.yaml")
    fleet = read_fleet("policy=8xH100:1B,prm=8xH100:7B")
    sampled, whole = (forecast(config, fleet, problems=60, sample=sample) for sample in (20, 60))
    assert whole.bottleneck is None
    assert sampled.hours == pytest.approx(whole.hours, rel=0.15)


def test_a_plan_says_how_sure_it_is() -> None:
    found = forecast(
        validate(CONFIG, "run.yaml"), read_fleet("policy=2xH100:1B,prm=1xH100:7B"), problems=20
    )
    shortest, longest = found.hours_range
    assert shortest == pytest.approx(found.hours / 2, abs=1e-4)
    assert longest == pytest.approx(found.hours * 2, abs=1e-4)


def test_a_budget_that_ends_the_run_is_foretold() -> None:
    fleet = read_fleet("policy=2xH100:1B,prm=1xH100:7B")
    free = forecast(validate(CONFIG, "run.yaml"), fleet, problems=20)
    tokens = free.loads[0].generated_tokens // 4
    seconds = 1800 * free.hours
    kept = CONFIG | {"budget": {"policy_tokens": tokens, "seconds": seconds, "requests": 10**9}}
    stop = forecast(validate(kept, "run.yaml"), fleet, problems=20).stop
    assert free.stop is None
    assert stop is not None
    assert (stop.limit, stop.allowed) == ("policy_tokens", tokens)
    assert stop.share == pytest.approx(0.25, abs=0.01)


def test_every_limit_of_a_budget_can_be_the_one_that_ends_a_run() -> None:
    fleet = read_fleet("policy=2xH100:1B,prm=1xH100:7B")
    priced = CONFIG | {
        "policies": {"policy": {"price": {"input": 1.0, "output": 1.0}}},
        "prms": {"prm": {"family": "qwen_math", "price": {"input": 1.0, "output": 1.0}}},
    }
    for limit in LimitsConfig.model_fields:
        config = validate(
            priced | {"budget": {limit: 0.01 if limit in ("cost", "seconds") else 1}}, "run.yaml"
        )
        stop = forecast(config, fleet, problems=2).stop
        assert stop is not None and stop.limit == limit


def test_hosted_models_cost_by_the_token_and_need_no_fleet() -> None:
    hosted = {"url": "https://api.openai.com/v1", "price": {"input": 0.0, "output": 1e6}}
    config = validate(
        CONFIG
        | {
            "policies": {"policy": {}, "cloud": hosted},
            "cells": [*CONFIG["cells"], {"policy": "cloud", "strategy": "cot"}],  # type: ignore[misc]
        },
        "run.yaml",
    )
    fleet = read_fleet("policy=2xH100:1B,prm=1xH100:7B")
    found = forecast(config, fleet, problems=20)
    local, prm, cloud = found.loads
    assert (local.dollars, prm.dollars, cloud.busy) == (None, None, None)
    assert found.dollars == cloud.dollars == cloud.generated_tokens > 20 * 45
    with pytest.raises(ConfigError, match="cloud is a hosted model: leave it out"):
        forecast(config, {**fleet, "cloud": fleet["policy"]}, problems=20)


def test_a_prm_that_reads_its_prefix_cache_is_cheaper() -> None:
    anew = validate(CONFIG, "run.yaml")
    kept = validate(CONFIG | {"prms": {"prm": {"family": "math_shepherd"}}}, "run.yaml")
    fleet = read_fleet("policy=2xH100:1B,prm=1xH100:7B")
    read = [forecast(each, fleet, problems=20).loads[1].read_tokens for each in (anew, kept)]
    assert read[1] < 0.5 * read[0]
