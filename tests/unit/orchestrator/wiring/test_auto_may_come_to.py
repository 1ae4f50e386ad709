"""What ``auto`` may come to is checked and labelled as if the config named it."""

import pytest

from orchestrator.commands.forecast.forecast import forecast
from orchestrator.config.run import RunConfig, validate
from orchestrator.endpoints.probing.probe import PolicyAbilities, PRMAbilities
from orchestrator.errors import ConfigError
from orchestrator.runs.plan import Cell
from orchestrator.wiring.auto_cells import routed
from orchestrator.wiring.needs import check_able, substitutes


def config(parameters: int, **policy: object) -> RunConfig:
    at = {"url": "http://localhost:1/v1"}
    return validate(
        {
            "task": {"name": "chains"},
            "policies": {"policy": {**at, "prompt": "llama3", "parameters": parameters, **policy}},
            "prms": {"prm": {**at, "family": "qwen_math"}},
            "cells": [{"policy": "policy", "prm": "prm", "strategy": "auto"}],
        },
        "run.yaml",
    )


def cells(of: RunConfig) -> list[Cell]:
    return routed(of.all_cells, [])


SAMPLES_ONLY = {"policy": PolicyAbilities(n=False, continuation=None), "prm": PRMAbilities()}


def test_an_endpoint_that_cannot_search_is_refused_where_the_rule_may_choose_a_search() -> None:
    small = config(1_000_000)
    with pytest.raises(ConfigError, match=r"as auto \(which may come to beam_search\) needs"):
        check_able(cells(small), small.policies, SAMPLES_ONLY)


def test_so_is_one_of_samples_that_a_search_may_follow() -> None:
    values = config(1).model_dump(mode="json", exclude_defaults=True)
    values["cells"] = [{"policy": "policy", "prm": "prm", "strategy": "best_of_n", "n": 8}]
    alone = validate(values, "run.yaml")
    check_able(cells(alone), alone.policies, SAMPLES_ONLY)
    values["cells"][0] |= {"stop": {"rule": "beta"}, "then": {"strategy": "dvts", "n": 8}}
    followed = validate(values, "run.yaml")
    with pytest.raises(ConfigError, match=r"as best_of_n \(which may come to dvts\) needs"):
        check_able(cells(followed), followed.policies, SAMPLES_ONLY)
    (cell,) = cells(followed)
    assert cell.settings["then"].keys() >= {"strategy", "n", "width"}
    assert "stop" not in cell.settings["then"]


def test_it_is_enough_where_the_rule_only_samples() -> None:
    large = config(70_000_000_000)
    check_able(cells(large), large.policies, SAMPLES_ONLY)
    (cell,) = cells(large)
    assert substitutes(cell, large.policies, SAMPLES_ONLY).emulated == ("n",)


def test_emulated_continuations_are_labelled() -> None:
    instructed = config(1_000_000, continuation="instructed")
    (cell,) = cells(instructed)
    check_able([cell], instructed.policies, SAMPLES_ONLY)
    assert substitutes(cell, instructed.policies, SAMPLES_ONLY).emulated == ("n", "continuation")


def test_auto_is_no_work_of_none() -> None:
    (cell,) = cells(config(1_000_000))
    assert cell.weight > 0


def test_what_is_left_off_names_no_cell() -> None:
    values = config(1).model_dump(mode="json", exclude_defaults=True)
    values["cells"] = [{"policy": ["policy"], "strategy": ["majority"], "n": [8]}]
    (cell,) = validate(values, "run.yaml").all_cells
    assert cell.id == "policy/majority-temperature0.7-top_p1.0-max_tokens8192-n8"
    values["cells"][0]["stop"] = {"rule": "beta", "batches": 2}
    with pytest.raises(ConfigError, match=r"stop\.batches"):
        validate(values, "run.yaml")


def test_what_auto_does_cannot_be_planned_for() -> None:
    mine = config(1_000_000)
    with pytest.raises(ConfigError, match="leave its cells out"):
        forecast(mine, {})


@pytest.mark.parametrize("has_them", [False, True])
def test_log_probabilities_that_a_server_does_not_return_are_named_where_they_are_needed(
    has_them: bool,
) -> None:
    values = config(1).model_dump(mode="json", exclude_defaults=True)
    samples = {"policy": "policy", "strategy": "majority", "n": 4}
    values["cells"] = [samples | {"logprobs": True}, samples]
    found = {"policy": PolicyAbilities(logprobs=has_them)}
    of = validate(values, "run.yaml")
    asking, silent = cells(of)
    missed = () if has_them else ("logprobs",)
    assert substitutes(asking, of.policies, found).refused == missed
    assert substitutes(silent, of.policies, found).refused == ()
