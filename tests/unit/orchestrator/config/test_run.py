import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.config.fleets import load_fleet
from orchestrator.config.run import load, validate
from orchestrator.errors import ConfigError
from orchestrator.strategies import DVTS, BeamSearch
from orchestrator.wiring.fleets import fleet_spec
from tests.unit.orchestrator.small_config import valid

SHIPPED = Path(__file__).parents[4] / "configs"
RUNS = [p for p in sorted(SHIPPED.glob("*.yaml")) if "task" in yaml.safe_load(p.read_text())]
FLEETS = [*sorted(SHIPPED.glob("fleets/*.yaml")), SHIPPED / "vllm-tiny.yaml"]


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.name)
def test_every_config_that_ships_is_valid(path: Path) -> None:
    config = load(path)
    assert config.all_cells
    assert all(policy.prompt for policy in config.policies.values())


@pytest.mark.parametrize("path", FLEETS, ids=lambda path: path.name)
def test_every_fleet_that_ships_is_valid(path: Path) -> None:
    file = load_fleet(path)
    spec = fleet_spec(file.servers.fleet, file.models)
    assert {service.model.role for service in spec.services} == {"policy", "prm"}


def test_some_configs_ship() -> None:
    assert {"demo.yaml"} <= {path.name for path in RUNS}


def test_a_group_of_cells_is_every_combination_it_names() -> None:
    cells = valid().all_cells
    described = [(cell.strategy_name, cell.strategy.n) for cell in cells]
    assert described == [
        ("cot", 1),
        ("beam_search", 4),
        ("beam_search", 16),
        ("dvts", 4),
        ("dvts", 16),
    ]


def test_other_keys_of_a_group_are_settings_of_its_strategies() -> None:
    group = {"policy": "small", "prm": "prm", "strategy": ["beam_search", "dvts"], "n": 6}
    cells = valid(cells=[group | {"width": 2, "reward": "min"}]).all_cells
    assert [cell.strategy for cell in cells] == [
        BeamSearch(n=6, width=2, reward="min"),
        DVTS(n=6, width=2, reward="min"),
    ]


def test_searches_take_rules_and_refuse_others() -> None:
    group = {"policy": "small", "prm": "prm", "strategy": "dvts", "n": 4}
    told = [valid(cells=[group | more]).all_cells[0] for more in ({}, {"rules": "orchard"})]
    assert [cell.strategy for cell in told] == [DVTS(n=4), DVTS(n=4, rules="orchard")]
    with pytest.raises(ConfigError, match=r"rules: .*'paper' or 'orchard'"):
        valid(cells=[group | {"rules": "papers"}])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"polices": {}}, 'unknown key \'polices\': did you mean "policies"'),
        ({"task": {"nam": "x"}}, 'task: unknown key \'nam\': did you mean "name"'),
        ({"policies": {"small": {"prompt": "lama3"}}},
         'prompt family \'lama3\': did you mean "llama3"'),
        ({"prms": {"prm": {"family": "qwen"}}}, 'PRM family \'qwen\': did you mean "qwen_math"'),
        ({"cells": [{"policy": "small", "strategy": "beamsearch"}]},
         'strategy \'beamsearch\': did you mean "beam_search"'),
        ({"cells": [{"policy": "smal", "strategy": "cot"}]},
         'cells.0: no policy is named \'smal\': did you mean "small"'),
        ({"cells": [{"policy": "small", "prm": "pmr", "strategy": "dvts"}]},
         'cells.0: no prm is named \'pmr\': did you mean "prm"'),
        ({"cells": [{"policy": "small", "prm": "prm", "strategy": "dvts", "widht": 2}]},
         'unknown key \'widht\' for dvts: did you mean "width"'),
        ({"policies": {"small": {"prompt": "zzz"}}}, "known: llama3, qwen, r1_distill, tiny"),
    ],
)  # fmt: skip
def test_an_unknown_name_is_answered_with_the_nearest(changes: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        valid(**changes)
    assert str(caught.value).startswith("run.yaml: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("group", "said"),
    [
        ({"strategy": "beam_search", "prm": "prm", "n": 6},
         "cells.0: n = 6 is not a multiple of width = 4; try n = 8"),
        ({"strategy": "beam_search", "n": 4}, "beam_search needs a `prm`"),
        ({"strategy": "majority", "prm": "prm"}, "majority scores nothing"),
        ({"strategy": "cot", "n": 4}, "cot takes no `n`"),
        ({"strategy": "majority", "n": 0}, "greater than or equal to 1"),
        ({"strategy": "dvts", "prm": "prm", "reward": "best"}, "cells.0: dvts: reward: "),
        ({"strategy": "majority", "temperature": "hot"}, "cells.0: majority: temperature: "),
        ({"strategy": ["cot", "cot"]}, "is there twice"),
        ({"strategy": "auto", "prm": "prm", "profile": "it", "budget": float("nan")},
         "cells.0: budget = nan must be above 0, and a finite number"),
    ],
)  # fmt: skip
def test_a_cell_that_cannot_be_run_is_refused_with_its_place(group: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        valid(cells=[{"policy": "small"} | group])
    assert str(caught.value).startswith("run.yaml: cells.0: ") or "cells.0." in str(caught.value)
    assert said in str(caught.value)


def test_two_caps_of_one_pool_are_told_apart_from_a_cell_that_is_there_twice() -> None:
    pool = {"policy": "small", "prm": "prm", "strategy": "auto", "profile": "it", "pool": True}
    for budget, said in ((9000, "differ in `budget` alone, 5,000 and 9,000"), (5000, "twice")):
        cells = [pool | {"budget": 5000}, pool | {"budget": budget}]
        with pytest.raises(ConfigError, match=f"run.yaml: cells.1: .*{said}"):
            valid(cells=cells)
        for cell in cells:
            valid(cells=[cell])


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"task": {}}, "task: give either a `name` or the `path`"),
        ({"task": {"name": "a", "path": "b"}}, "task: give either"),
        ({"task": {"path": "~nobody-here/b"}}, "task.path: ~nobody-here/b: there is no such home"),
        ({"cells": []}, "cells: "),
        ({"trees": 0}, "trees: "),
        ({"budget": {"requests": 0}}, "budget.requests: "),
        ({"prms": {"prm": {}}}, "prms.prm.family: it is required"),
        ({"policies": {"small": {"timeout": -1}}}, "policies.small.timeout: "),
    ],
)
def test_a_mistake_is_named_by_its_key(changes: Any, place: str) -> None:
    with pytest.raises(ConfigError) as caught:
        valid(**changes)
    assert str(caught.value).startswith(f"run.yaml: {place}")


def test_a_key_comes_from_the_variable_the_config_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-secret")
    config = valid(policies={"small": {"url": "http://a", "api_key_env": "MY_KEY"}})
    assert config.policies["small"].endpoint("small").api_key == "sk-secret"


@pytest.mark.parametrize("value", [None, ""])
def test_a_key_that_is_not_set_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("MY_KEY", value)
    config = valid(policies={"small": {"url": "http://a", "api_key_env": "MY_KEY"}})
    with pytest.raises(ConfigError, match=r"small needs its API key: set \$MY_KEY"):
        config.policies["small"].endpoint("small")


def test_secrets_never_appear_in_a_config(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-secret")
    config = valid(policies={"small": {"url": "http://a", "api_key_env": "MY_KEY"}})
    endpoint = config.policies["small"].endpoint("small")
    for shown in (json.dumps(config.model_dump(mode="json")), repr(config), repr(endpoint)):
        assert "sk-secret" not in shown


def test_an_endpoint_is_the_configs_or_that_of_a_server_started_for_it() -> None:
    config = valid(policies={"small": {"model": "org/small"}, "large": {"url": "http://b"}})
    started = config.policies["small"].endpoint("small", ["http://127.0.0.1:1"])
    assert (started.urls, started.model) == (("http://127.0.0.1:1",), "org/small")
    own = config.policies["large"].endpoint("large", ["http://127.0.0.1:1"])
    assert (own.urls, own.model) == (("http://b",), "large")
    with pytest.raises(ConfigError, match="small has no `url`"):
        config.policies["small"].endpoint("small")


@pytest.mark.parametrize(
    "changes",
    [
        {"policies": {"small": {"url": "http://elsewhere", "api_key_env": "K", "timeout": 9,
                                "concurrency": 3, "requests_per_minute": 9, "hedge": True,
                                "tokens_per_minute": 9}, "large": {}}},
        {"policies": {"small": {"urls_from": "endpoints.yaml"}, "large": {}}},
        {"trees": 999},
        {"task": {"name": "math500", "problems": 5}},
        {"servers": {"tiny": {"replicas": 4}}},
        {"cells": [{"policy": "small", "strategy": "majority"}]},
    ],
)  # fmt: skip
def test_a_runs_identity_is_not_where_or_how_fast_it_runs_nor_which_cells(changes: Any) -> None:
    assert valid(**changes).identity() == valid().identity()


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"task": {"name": "math500", "seed": 5}},
        {"policies": {"small": {"prompt": "llama3"}, "large": {}}},
        {"policies": {"small": {"model": "another"}, "large": {}}},
        {"prms": {"prm": {"family": "qwen_math", "running_minimum": True}}},
        {"problem_budget": {"policy_tokens": 100}},
    ],
)
def test_a_runs_identity_is_what_its_results_depend_on(changes: Any) -> None:
    assert valid(**changes).identity() != valid().identity()


def test_a_dumped_config_is_the_same_config_when_read_again() -> None:
    config = valid(
        cells=[{"policy": "small", "prm": "prm", "strategy": "dvts", "width": 2, "n": 4}]
    )
    again = validate(config.model_dump(mode="json", exclude_defaults=True), "config.yaml")
    assert again == config
    assert [cell.id for cell in again.all_cells] == [cell.id for cell in config.all_cells]


@pytest.mark.parametrize(
    ("prm", "said"),
    [
        ({"family": "judge", "options": {"sampels": 3}}, 'did you mean "samples"'),
        ({"family": "judge", "options": {"samples": "3"}}, "prms.prm.options: samples: "),
        ({"family": "rlhflow", "options": {"data": "llama"}}, "prms.prm.options: data: "),
        ({"family": "skywork", "options": {"transport": "x"}}, "unknown key 'transport'"),
        ({"family": "rlhflow", "options": {"_chosen": "prefix"}}, "unknown key '_chosen'"),
    ],
)  # fmt: skip
def test_options_that_a_family_does_not_take_are_refused(prm: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        valid(prms={"prm": prm | {"url": "http://c"}})
    assert said in str(caught.value)


def test_replicas_may_stand_in_a_file_of_their_own(tmp_path: Path) -> None:
    listed = tmp_path / "endpoints.yaml"
    listed.write_text("small: [http://a:1, http://b:1]\nlarge: []\n")
    both = {"urls_from": str(listed)}
    policies = valid(policies={"small": both, "large": both}).policies
    endpoint = policies["small"].endpoint("small")
    assert (endpoint.urls, endpoint.listed) == (("http://a:1", "http://b:1"), listed)
    with pytest.raises(ConfigError, match=r"endpoints.yaml: lists no URL of large"):
        policies["large"].endpoint("large")
    with pytest.raises(ConfigError, match="give either a `url` or `urls_from`"):
        valid(policies={"small": {"url": "http://a", **both}, "large": {}})


@pytest.mark.parametrize(
    ("hedge", "percentile"), [(False, None), (True, 95.0), (99, 99.0), (99.5, 99.5)]
)
def test_hedging_is_off_or_beyond_a_percentile(hedge: Any, percentile: float | None) -> None:
    policy = valid(policies={"small": {"url": "http://a", "hedge": hedge}, "large": {}})
    assert policy.policies["small"].endpoint("small").hedge == percentile


@pytest.mark.parametrize(
    "setting",
    [{"hedge": 10}, {"hedge": 100}, {"requests_per_minute": 0}, {"tokens_per_minute": -1},
     {"concurrency": 0}],
)  # fmt: skip
def test_limits_that_cannot_be_are_refused(setting: Any) -> None:
    with pytest.raises(ConfigError, match=rf"policies.small.{next(iter(setting))}"):
        valid(policies={"small": {"url": "http://a"} | setting, "large": {}})
