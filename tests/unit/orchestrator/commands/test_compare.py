import json
from pathlib import Path

import msgspec
import pytest
import yaml
from typer.testing import CliRunner

from orchestrator.cli.main import app
from orchestrator.core.records import Record, Verdict
from orchestrator.errors import RunError

CONFIG = {
    "task": {"name": "math500"},
    "policies": {"small": {"url": "http://policy/v1"}},
    "cells": [{"policy": "small", "strategy": "cot"}],
}


def write_run(folder: Path, right: dict[str, bool]) -> Path:
    """A run directory of one CoT cell."""
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    records = [
        Record(
            cell="small/cot", task="math500", policy="small", policy_params=None, prm=None,
            prm_params=None, strategy="cot", n=1, settings={}, problem=problem, level=None,
            verdicts={"majority": Verdict(answer="7", correct=correct)}, policy_tokens=10,
            prompt_tokens=5, cached_tokens=0, prm_tokens=0, requests=1, seconds=0.1, ran_out=None,
            leaves=(),
        )
        for problem, correct in right.items()
    ]  # fmt: skip
    lines = b"".join(msgspec.json.encode(record) + b"\n" for record in records)
    (folder / "records.jsonl").write_bytes(lines)
    return folder


def invoke(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["compare", *map(str, arguments)])
    if done.exception is not None:
        raise done.exception
    return done.output


def test_two_runs_are_compared_problem_by_problem(tmp_path):
    before = write_run(tmp_path / "before", {f"p{i}": i < 10 for i in range(30)})
    after = write_run(tmp_path / "after", {f"p{i}": i < 25 for i in range(30)})
    said = " ".join(invoke(before, after).split())
    assert "small CoT (after) is better than small CoT (before): +50.0 points" in said
    assert "of 30 problems it alone solves 15, the other alone 0" in said
    read = json.loads(invoke(before, after, "--json"))
    assert read["differences"][0]["difference"] == 0.5
    assert [cell["run"] for cell in read["cells"]] == ["before", "after"]


def test_runs_of_one_name_go_by_their_paths(tmp_path):
    runs = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        runs.append(write_run(tmp_path / name / "run", {"p": True, "q": name == "b"}))
    read = json.loads(invoke(*runs, "--json"))
    assert [cell["run"] for cell in read["cells"]] == [str(run) for run in runs]


@pytest.mark.parametrize("spoil", ["config.yaml", "records.jsonl"])
def test_a_run_that_cannot_be_read_is_named_in_one_line(tmp_path, spoil):
    run = write_run(tmp_path / "run", {"p": True})
    other = write_run(tmp_path / "other", {"p": True})
    (other / spoil).unlink()
    with pytest.raises(RunError, match=f"cannot read {other / spoil}: .*; name a run directory"):
        invoke(run, other)


def test_a_run_without_records_a_run_named_twice_and_a_lone_cell_are_refused(tmp_path):
    run = write_run(tmp_path / "run", {"p": True})
    empty = write_run(tmp_path / "empty", {})
    with pytest.raises(RunError, match="empty holds no finished problem yet"):
        invoke(run, empty)
    with pytest.raises(RunError, match="is named twice"):
        invoke(run, run)
    with pytest.raises(RunError, match="small/cot is the only cell to compare"):
        invoke(run)
