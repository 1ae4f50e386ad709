"""One cap for a whole job, on the models that come with Orchard."""

import json
import subprocess
from pathlib import Path
from statistics import mean

from orchestrator.reading import shipped_config
from tests.acceptance.conftest import ORCHARD

PROBLEMS, CAP = 32, 48_000


def test_a_pool_keeps_its_cap_answers_all_and_gives_the_harder_problems_more(
    tmp_path: Path,
) -> None:
    cell = {
        "policy": "policy-160k", "prm": "prm-qwen", "strategy": "auto", "pool": True,
        "profile": "chains-policy-160k-prm-qwen", "budget": CAP,
    }  # fmt: skip
    sets = {"cells": [cell], "task.problems": PROBLEMS, "headline": None}
    done = subprocess.run(
        [ORCHARD, "run", shipped_config("demo.yaml"), "--out", "run"]
        + [f"--set={key}={json.dumps(value)}" for key, value in sets.items()],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "run" / "records.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert len(records) == PROBLEMS
    assert sum(each["policy_tokens"] + each["prm_tokens"] for each in records) <= CAP
    assert all(each["verdicts"]["auto"]["answer"] is not None for each in records)
    easy, harder = (
        [len(each["leaves"]) for each in records if (each["route"]["bin"] == "easy") is is_easy]
        for is_easy in (True, False)
    )
    assert mean(harder) > mean(easy)
    assert f"{CAP:,} tokens for all problems" in done.stdout
