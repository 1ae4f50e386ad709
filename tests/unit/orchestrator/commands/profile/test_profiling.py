"""Which profiles are fitted to the records of runs."""

from dataclasses import replace
from io import StringIO
from pathlib import Path

import msgspec
import yaml

from orchestrator.commands.profile.profiling import fit_across
from orchestrator.console.terminal import Terminal
from orchestrator.core.records import ModelUse, Record

CONFIG = {
    "task": {"name": "chains", "problems": 4},
    "policies": {"small": {}, "large": {}},
    "cells": [{"policy": "small", "strategy": "cot"}],
}

ALONE = Record(
    cell="small/cot", task="chains", policy="small", policy_params=None, prm=None, prm_params=None,
    strategy="cot", n=1, settings={"temperature": 0.0}, problem="p", level=None, verdicts={},
    policy_tokens=10, prompt_tokens=5, cached_tokens=0, prm_tokens=0, requests=1, seconds=0.1,
    ran_out=None, leaves=(),
)  # fmt: skip
ACROSS = replace(
    ALONE,
    cell="small,large/auto",
    policy="small, large",
    strategy="auto",
    models={"small": ModelUse(), "large": ModelUse()},
)


def test_a_cell_across_models_is_no_policy_of_its_run(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    lines = [msgspec.json.encode(each) + b"\n" for each in (ALONE, ACROSS)]
    (tmp_path / "records.jsonl").write_bytes(b"".join(lines))
    told = StringIO()
    assert fit_across([tmp_path], Terminal(file=told)) == []
    assert told.getvalue() == ""
