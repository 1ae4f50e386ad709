"""One cap for a whole job, on the models that come with Orchard."""

import json
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from statistics import mean
from typing import Any

from orchestrator.config.reading import shipped_config
from orchestrator.storage.journal import KEY_BYTES
from tests.acceptance.conftest import ORCHARD
from tests.acceptance.test_runs import until

PROBLEMS, CAP = 64, 60_000


def pooled(home: Path, run: str) -> subprocess.Popen[str]:
    cell = {
        "policy": "policy-160k", "prm": "prm-qwen", "strategy": "auto", "pool": True,
        "profile": "chains-policy-160k-prm-qwen", "budget": CAP,
    }  # fmt: skip
    sets = {"cells": [cell], "task.problems": PROBLEMS, "headline": None}
    return orchard(
        home,
        *("run", shipped_config("demo.yaml"), "--out", run),
        *(f"--set={key}={json.dumps(value)}" for key, value in sets.items()),
    )


def orchard(home: Path, *arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [ORCHARD, *arguments],
        cwd=home, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip


def records(home: Path, run: str) -> list[dict[str, Any]]:
    """The latest of each problem."""
    lines = (home / run / "records.jsonl").read_text().splitlines()
    return list({(each := json.loads(line))["problem"]: each for line in lines}.values())


def tokens(records: list[dict[str, Any]]) -> int:
    return sum(each["policy_tokens"] + each["prm_tokens"] for each in records)


def responses(home: Path, run: str) -> list[bytes]:
    """The keys of all that the journal holds for trees, one of each part of a response."""
    query = "SELECT keys FROM responses JOIN trees ON tree = trees.id WHERE name <> 'probes'"
    path = home / run / "journal.sqlite"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        rows = [keys for (keys,) in database.execute(query)]
    return [keys[at : at + KEY_BYTES] for keys in rows for at in range(0, len(keys), KEY_BYTES)]


def test_a_pool_keeps_its_cap_answers_all_and_gives_the_harder_problems_more(
    tmp_path: Path,
) -> None:
    with pooled(tmp_path, "run") as process:
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    found = records(tmp_path, "run")
    assert len(found) == PROBLEMS
    assert tokens(found) <= CAP
    assert all(each["verdicts"]["auto"]["answer"] is not None for each in found)
    easy, harder = (
        [len(each["leaves"]) for each in found if (each["route"]["bin"] == "easy") is is_easy]
        for is_easy in (True, False)
    )
    assert mean(harder) > mean(easy)
    assert f"{CAP:,} tokens for all problems" in out
    assert f"{tokens(found):,} tokens used; " in out


def test_a_stopped_pool_goes_on_within_its_cap_and_asks_for_nothing_twice(tmp_path: Path) -> None:
    with pooled(tmp_path, "run") as process:
        until(lambda: (tmp_path / "run" / "config.yaml").exists())  # and with it the journal
        until(lambda: len(responses(tmp_path, "run")) > 6 * PROBLEMS)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "")
    stopped, paid = records(tmp_path, "run"), responses(tmp_path, "run")
    assert any(each["error"] for each in stopped)
    with orchard(tmp_path, "show", "run") as process:
        shown, _ = process.communicate(timeout=30)
    assert "to go. Go on with:\n  orchard resume run" in shown
    with orchard(tmp_path, "resume", "run") as process:
        out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert "replayed from the journal" in out
    finished = records(tmp_path, "run")
    assert len(finished) == PROBLEMS
    assert all(each["verdicts"]["auto"]["answer"] is not None for each in finished)
    assert not any(each["error"] for each in finished)
    assert tokens(stopped) < tokens(finished) <= CAP
    in_all = responses(tmp_path, "run")
    assert in_all[: len(paid)] == paid and len(in_all) > len(paid)
    assert len(set(in_all)) == len(in_all)
