"""``orchard show``: the votes over the same samples."""

import json
from pathlib import Path

import msgspec
import pytest
import yaml
from typer.testing import CliRunner

from orchestrator.cli.main import app
from orchestrator.core.records import Record, Verdict

CONFIG = {
    "task": {"name": "math500"},
    "policies": {"policy-160k": {"url": "http://policy/v1"}},
    "prms": {"prm": {"url": "http://prm", "family": "qwen_math"}},
    "cells": [{"policy": "policy-160k", "prm": "prm", "strategy": "best_of_n", "n": 4}],
}
RIGHT = {"majority": "0011", "max_last": "1111", "max_min": "1111"}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run directory of a best-of-N and a DVTS cell, each of four problems under three votes."""
    records = [
        Record(
            cell=strategy, task="math500", policy="policy-160k", policy_params=None, prm="prm",
            prm_params=None, strategy=strategy, n=4, settings={}, problem=f"p{i}", level=None,
            verdicts={v: Verdict(answer="7", correct=each[i] == "1") for v, each in RIGHT.items()},
            policy_tokens=10, prompt_tokens=5, cached_tokens=0, prm_tokens=9, requests=1,
            seconds=0.1, ran_out=None, leaves=(),
        )
        for strategy in ("best_of_n", "dvts")
        for i in range(4)
    ]  # fmt: skip
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    lines = b"".join(msgspec.json.encode(record) + b"\n" for record in records)
    (folder / "records.jsonl").write_bytes(lines)
    return folder


def shown(run: Path, *options: str) -> str:
    done = CliRunner().invoke(app, ["show", str(run), *options])
    if done.exception is not None:
        raise done.exception
    return done.output


def test_the_votes_over_the_same_samples_are_a_table_of_their_own(run: Path) -> None:
    text = shown(run, "--votes")
    assert "best-of-N, N = 4" in text and "DVTS" not in text
    assert "max_last" in text and "max_min" not in text
    assert "over" in text and "right" in text


def test_all_votes_and_cells_by_name_are_shown_on_demand(run: Path) -> None:
    assert "max_min" in shown(run, "--all-votes")
    trees = shown(run, "--cell", "dvts")
    assert "DVTS, N = 4" in trees and "best-of-N" not in trees


def test_the_results_say_where_the_other_votes_are(run: Path) -> None:
    assert "`orchard show RUN --votes` compares" in " ".join(shown(run).split())


def test_json_has_the_votes_of_every_cell(run: Path) -> None:
    read = json.loads(shown(run, "--json"))
    assert {cell["cell"]: len(cell["votes"]) for cell in read["votes"]} == {
        "best_of_n": 3, "dvts": 3,
    }  # fmt: skip
    assert read["votes"][0]["votes"][0]["over_majority"]["difference"] == 0.5
