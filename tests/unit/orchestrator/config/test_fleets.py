from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.config.fleets import load_fleet
from orchestrator.config.run import RunConfig, validate
from orchestrator.errors import ConfigError

MODELS = {
    "tiny-policy": {"source": "acme/tiny", "role": "policy", "prompt": "llama3", "context": 512,
                    "parameters": 7, "training_tokens": 2e12},
    "tiny-prm": {"source": "./prm", "role": "prm", "family": "qwen_math", "context": 256,
                 "options": {"system": None}, "running_minimum": True},
}  # fmt: skip
FLEET = {"name": "f", "services": {"tiny-policy": {"replicas": 2}, "judge": {"model": "tiny-prm"}}}


def run(**changes: Any) -> RunConfig:
    return validate(
        {
            "models": MODELS,
            "task": {"name": "math500"},
            "servers": {"fleet": FLEET},
            "policies": {"tiny-policy": {}},
            "prms": {"prm": {"model": "tiny-prm"}},
            "cells": [{"policy": "tiny-policy", "strategy": "cot"}],
        }
        | changes,
        "run.yaml",
    )


def test_an_endpoint_takes_what_it_leaves_out_from_the_model_table() -> None:
    config = run(policies={"tiny-policy": {}, "other": {"model": "tiny-policy", "prompt": "qwen"}})
    policy = config.policies["tiny-policy"]
    assert (policy.model, policy.prompt, policy.parameters) == ("acme/tiny", "llama3", 7)
    assert config.policies["other"].prompt == "qwen"
    assert config.trained_on == {"tiny-policy": 2e12, "other": 2e12}
    prm = config.prms["prm"]
    assert (prm.family, prm.options, prm.running_minimum) == ("qwen_math", {"system": None}, True)


def test_a_model_in_a_folder_is_called_by_its_name_in_the_table() -> None:
    assert run().prms["prm"].model == "tiny-prm"


def test_where_it_is_served_changes_nothing_of_what_a_run_is() -> None:
    elsewhere = run(
        servers={},
        policies={"tiny-policy": {"url": "http://a"}},
        prms={"prm": {"model": "tiny-prm", "url": "http://b"}},
    )
    assert elsewhere.identity() == run().identity()


def test_a_run_directory_keeps_only_the_models_its_fleet_serves() -> None:
    config = run(models=MODELS | {"unused": MODELS["tiny-policy"]})
    assert sorted(config.dumped()["models"]) == ["tiny-policy", "tiny-prm"]
    assert validate(config.dumped(), "again").identity() == config.identity()


@pytest.mark.parametrize("model", [None, "acme/other", 7, ["tiny-policy"]])
def test_a_model_that_is_no_name_of_the_table_is_the_configs_own_matter(model: object) -> None:
    try:
        config = run(policies={"tiny-policy": {"model": model, "url": "http://a"}}, servers={})
    except ConfigError as error:
        assert "policies.tiny-policy.model" in str(error)
    else:
        assert config.policies["tiny-policy"].model == (model or "acme/tiny")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"policies": {"p": {"model": "tiny-prm"}}, "cells": [{"policy": "p", "strategy": "cot"}]},
         "p: tiny-prm is a prm in `models`, not a policy"),
        ({"servers": {"fleet": FLEET | {"services": {"tiny-polcy": {}}}}},
         'no model is named \'tiny-polcy\': did you mean "tiny-policy"'),
        ({"servers": {"fleet": FLEET, "tiny": {}}}, "either `tiny` or a `fleet`"),
        ({"servers": {"fleet": FLEET | {"name": "../up"}}}, "servers.fleet.name"),
        ({"servers": {"fleet": FLEET | {"services": {}}}}, "servers.fleet.services"),
        ({"models": {"m": {"source": "x", "role": "policy"}}}, "models.m.context: it is required"),
        ({"models": {"m": MODELS["tiny-prm"] | {"family": "qwen_meth"}}}, "did you mean"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_table_or_fleet_is_one_line_with_its_place(
    changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        run(**changes)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_fleet_can_be_read_from_a_runs_config(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(
        yaml.safe_dump({"models": MODELS, "servers": {"fleet": FLEET}, "task": {"name": "x"}})
    )
    file = load_fleet(path)
    assert file.servers.fleet.model_of("judge") == "tiny-prm"
    assert file.servers.fleet.model_of("tiny-policy") == "tiny-policy"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"task": {}}, "names no fleet"),
        ({"servers": {"tiny": {}}}, "names no fleet"),
        ({"servers": {"fleet": FLEET}}, "`include` configs/models.yaml"),
        ({"models": MODELS, "servers": {"fleet": FLEET | {"hots": "x"}}}, 'did you mean "host"'),
    ],
)
def test_a_file_without_a_right_fleet_says_what_to_write(
    tmp_path: Path, content: Any, said: str
) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError) as caught:
        load_fleet(path)
    assert str(caught.value).startswith(str(path))
    assert said in str(caught.value)
