from pathlib import Path
from typing import Any

import pytest

from orchestrator.commands.forecast.machines import Machines, machines_of, read_fleet
from orchestrator.config.run import validate
from orchestrator.errors import ConfigError


def planned(fleet: str, **changes: Any) -> dict[str, Machines]:
    """What serves a run of one search; top-level keys of its config as given."""
    values = {
        "task": {"name": "math500"},
        "policies": {"policy": {}},
        "prms": {"prm": {"family": "qwen_math"}},
        "cells": [{"policy": "policy", "prm": "prm", "strategy": "beam_search", "n": 8}],
    }
    config = validate(values | changes, "run.yaml")
    return machines_of(config, config.all_cells, read_fleet(fleet))


def test_a_fleet_of_many_endpoints_may_be_longer_than_a_file_name() -> None:
    fleet = ",".join(f"policy-number-{i}=8xH100:1B" for i in range(40))
    assert len(read_fleet(fleet)) == 40
    with pytest.raises(ConfigError, match="cannot be read"):
        read_fleet("a" * 300)


def test_a_fleet_may_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text("policy: 2x4xH100:72B\n")
    machines = read_fleet(str(file))["policy"]
    assert (machines.replicas, machines.gpus) == (2, 8)


@pytest.mark.parametrize(
    ("fleet", "said"),
    [
        ("policy=8xH100:1B", "says nothing of 'prm'"),
        ("policy=8xH100:1B,prms=2xH100:7B", "uses no 'prms': did you mean"),
        ("policy=8 H100,prm=2xH100:7B", "policy: '8 H100' is no fleet"),
        ("policy=1xH100:72B,prm=2xH100:7B", "policy: a 72B model .* give each replica 4"),
    ],
)
def test_a_fleet_that_does_not_fit_says_why(fleet: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        planned(fleet)


def test_a_prm_that_writes_is_refused() -> None:
    with pytest.raises(ConfigError, match="genprm writes is not modelled"):
        planned("policy=2xH100:1B,prm=1xH100:7B", prms={"prm": {"family": "genprm"}})


def test_a_hosted_model_needs_no_machines_of_ones_own() -> None:
    cloud = {"url": "https://api.openai.com/v1"}
    found = planned("prm=1xH100:7B", policies={"policy": cloud})
    assert [(each.endpoint, each.gpus) for each in found.values()] == [("prm", 1), ("policy", 0)]
