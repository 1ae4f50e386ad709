"""Advice from a profile across models, and the config that follows it."""

from pathlib import Path

import msgspec
import pytest
import yaml

from orchestrator.commands.advise import advise, advised_config, the_profile, write_config
from orchestrator.config.run import load
from orchestrator.errors import ConfigError, ProfileError, RunError
from orchestrator.optimal.cascade.mixture import within
from orchestrator.optimal.profile import dumped
from tests.unit.orchestrator.optimal.small_across import small_across

CONFIG = {
    "task": {"name": "chains", "problems": 100, "skip": 50},
    "policies": {"small": {"url": "http://s/v1"}, "large": {"url": "http://l/v1"}},
    "cells": [{"policy": ["small", "large"], "strategy": "majority", "n": 16}],
    "budget": {"tokens": 1_000_000},
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "sums-across.yaml").write_text(dumped(small_across()))
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    return tmp_path


def test_an_accuracy_is_answered_by_the_cheapest_plan_that_reaches_it() -> None:
    advice = advise(small_across(), 0.86, {})
    assert advice.mixture.points == [small_across().fronts["flops"][1]]
    assert advice.sentence.startswith(
        "Serve small and large, and look at the greedy answer of small; then the greedy answer of "
        "large or the greedy answer of small: 86.0 % [83.0, 88.0] right"
    )
    assert "4.00e+03 FLOPs" in advice.sentence
    assert advice.sentence.endswith("86 % lies within the interval")


def test_an_accuracy_between_two_plans_is_answered_by_mixing_them() -> None:
    advice = advise(small_across(), 0.82, {})
    assert advice.sentence == (
        "Serve small and large, and mix two plans: for 75 % of the problems, look at the greedy "
        "answer of small; then the greedy answer of large or the greedy answer of small; for the "
        "other 25 %, the greedy answer of small; together 82.0 % [79.0, 84.0] right (95 % interval "
        "over 2 problems that it was not fitted to), for 3.25e+03 FLOPs, $3.2e-06, 3.2 s a "
        "problem; 82 % lies within the interval"
    )
    assert advice.budget == 3250


def test_a_budget_between_two_plans_is_spent_by_mixing_them() -> None:
    advice = advise(small_across(), None, {"flops": 12_000.5})
    assert advice.sentence.startswith(
        "Serve small and large, and mix two plans: for 50 % of the problems, the greedy answer of "
        "large; for the other 50 %, look at"
    )
    assert advice.mixture.came.flops == pytest.approx(12_000.5)
    assert advice.budget == 12_000.5


@pytest.mark.parametrize("accuracy", [0.703, 0.7777, 0.8123, 0.86, 0.8611, 0.9])
def test_the_budget_of_a_config_is_short_and_buys_the_accuracy(accuracy: float) -> None:
    advice = advise(small_across(), accuracy, {})
    assert float(f"{advice.budget:.4g}") == advice.budget
    bought = within(small_across(), advice.budget, advice.unit)
    assert bought.points == advice.mixture.points
    assert accuracy <= bought.came.accuracy < accuracy + 0.0002


def test_advice_on_a_single_policy_counts_tokens() -> None:
    profile = small_across()
    profile = msgspec.structs.replace(profile, fronts={"tokens": profile.fronts["flops"]})
    advice = advise(profile, None, {"tokens": 1000.0})
    assert "for 200 tokens, 2.00e+04 FLOPs" in advice.sentence


def test_one_model_that_is_simply_best_is_said_to_be() -> None:
    advice = advise(small_across(), None, {"seconds": 100.0})
    assert advice.sentence.startswith("Serve large, and answer by the greedy answer of large: 90.0")


def test_what_is_out_of_reach_names_the_best_there_is() -> None:
    with pytest.raises(ProfileError, match=r"no plan reaches 95 %: the best is 90.0 % \[87.0"):
        advise(small_across(), 0.95, {})
    with pytest.raises(ProfileError, match="less than the cheapest answer takes"):
        advise(small_across(), None, {"flops": 10.0})
    with pytest.raises(ProfileError, match="no plans for a budget of cost"):
        advise(small_across(), None, {"cost": 10.0})


def test_one_goal_is_named_and_an_accuracy_is_a_share() -> None:
    with pytest.raises(ConfigError, match="name one goal"):
        advise(small_across(), None, {})
    with pytest.raises(ConfigError, match="name one goal"):
        advise(small_across(), 0.9, {"flops": 1.0})
    with pytest.raises(ConfigError, match="must be a share"):
        advise(small_across(), 90.0, {})


def test_the_config_runs_the_advised_plan_on_other_problems(run: Path, tmp_path: Path) -> None:
    path, profile = the_profile(run)
    advice = advise(profile, 0.85, {})
    out = tmp_path / "advised.yaml"
    write_config(advised_config(run, path, profile, advice), out)
    again = load(out)
    (cell,) = again.all_cells
    assert [each.name for each in cell.policies] == ["small", "large"]
    assert (again.task.skip, again.task.problems) == (150, 100)
    budget = yaml.safe_load(out.read_text())["cells"][0]["budget"]
    assert within(profile, budget, advice.unit).points == advice.mixture.points


def test_the_config_keeps_the_profile_s_cap_on_money_and_no_other(run: Path) -> None:
    path, profile = the_profile(run)
    advice = advise(profile, 0.9, {})
    assert advised_config(run, path, profile, advice).budget.tokens is None
    capped = CONFIG | {"budget": {"tokens": 1_000_000, "cost": 5.0}}
    (run / "config.yaml").write_text(yaml.safe_dump(capped))
    config = advised_config(run, path, profile, advice)
    assert (config.budget.cost, config.budget.tokens) == (5.0, None)


def test_only_the_models_that_are_needed_are_in_the_config(run: Path) -> None:
    path, profile = the_profile(run)
    config = advised_config(run, path, profile, advise(profile, 0.9, {}))
    assert list(config.policies) == ["large"]
    assert [each.name for cell in config.all_cells for each in cell.policies] == ["large"]


def test_a_model_that_the_runs_config_lacks_is_named(run: Path) -> None:
    lacking = CONFIG | {"policies": {"small": {"url": "http://s/v1"}}}
    lacking["cells"] = [{"policy": "small", "strategy": "majority", "n": 16}]
    (run / "config.yaml").write_text(yaml.safe_dump(lacking))
    path, profile = the_profile(run)
    with pytest.raises(ConfigError, match="no policy is named 'large'"):
        advised_config(run, path, profile, advise(profile, 0.9, {}))


def test_a_file_that_is_there_is_not_overwritten(run: Path, tmp_path: Path) -> None:
    path, profile = the_profile(run)
    config = advised_config(run, path, profile, advise(profile, 0.85, {}))
    (tmp_path / "mine.yaml").write_text("mine")
    with pytest.raises(RunError, match="is there already"):
        write_config(config, tmp_path / "mine.yaml")
    write_config(config, tmp_path / "new.yaml")
    write_config(config, tmp_path / "new.yaml")


def test_a_run_without_a_profile_across_models_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="has no profile across models"):
        the_profile(tmp_path)
