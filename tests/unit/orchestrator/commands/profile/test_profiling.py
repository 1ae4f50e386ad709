"""Which records of a run a profile across models is fitted to."""

from io import StringIO
from pathlib import Path

import pytest
import yaml

from orchestrator.commands.profile.profiling import fit_across
from orchestrator.console.terminal import Terminal
from orchestrator.core.records import AUTO, ModelUse, Record
from orchestrator.storage.store import Store
from tests.unit.orchestrator.conftest import record

CONFIG = {
    "task": {"name": "chains", "problems": 2},
    "policies": {"small": {"url": "http://s/v1"}, "large": {"url": "http://l/v1"}},
    "cells": [{"policy": ["small", "large"], "strategy": "cot"}],
}

AUTO_ALONE = [
    record(cell=f"{policy}/auto", policy=policy, task="chains", strategy=AUTO)
    for policy in ("small", "large")
]
ONE_POLICY_AND_ACROSS = [
    record(cell="small/cot", policy="small", task="chains", strategy="cot"),
    record(
        cell="small,large/auto",
        policy="small, large",
        task="chains",
        strategy=AUTO,
        models={"small": ModelUse(), "large": ModelUse()},
    ),
]


@pytest.mark.parametrize("records", [AUTO_ALONE, ONE_POLICY_AND_ACROSS])
def test_cells_of_auto_are_no_measured_policies(tmp_path: Path, records: list[Record]) -> None:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    with Store(tmp_path) as store:
        for each in records:
            store.add(each)
    told = StringIO()
    assert fit_across([tmp_path], Terminal(file=told)) == []
    assert told.getvalue() == ""
