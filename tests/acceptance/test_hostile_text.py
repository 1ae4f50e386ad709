"""Whatever servers, data sets and shared configs say, the terminal shows it as text."""

import json
import os
import pty
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.acceptance.conftest import ORCHARD, SEARCH, Outcome, Person
from tests.integration.misbehaving import CHAT, COMPLETIONS, POOLING, changed, status

ROOT = Path(__file__).resolve().parents[2]
NASTY = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202e\u2066[red]x[link=evil]y\rz\x7f"
CELLS = [
    {"policy": NASTY, "strategy": "cot", "max_tokens": 24},
    {"policy": NASTY, "prm": f"prm{NASTY}", "strategy": "beam_search", **SEARCH},
]


def names_only(good: Any) -> None:
    for choice in good["choices"]:
        said = choice.get("message", choice)
        name = "content" if "content" in said else "text"
        said[name] = said[name].replace(" of ", f" of {NASTY} ")


@pytest.fixture
def hostile(person: Person) -> Iterator[Person]:
    person.server.models = ("policy", NASTY)
    for path in (CHAT, COMPLETIONS):
        person.server.on(path, changed(names_only), forever=True)
    problem = {"question": f"What is {NASTY}?", "answer": NASTY, "id": NASTY, "level": NASTY}
    person.write("nasty.jsonl", json.dumps(problem) + "\n")
    at = {"url": person.server.url, "model": "policy"}
    values = {
        "task": {"path": "nasty.jsonl", "id": "id", "level": "level"},
        "policies": {NASTY: {**at, "prompt": "tiny"}},
        "prms": {f"prm{NASTY}": {**at, "family": "qwen_math"}},
        "cells": CELLS,
    }
    person.write("run.yaml", yaml.safe_dump(values))
    yield person


def harmless(outcome: Outcome) -> Outcome:
    for said in (outcome.out, outcome.err):
        assert said.replace("\n", "").replace("\t", "").isprintable(), ascii(said)
    assert "Traceback" not in outcome.err, outcome.err
    return outcome


def test_a_run_and_all_that_shows_it(hostile: Person) -> None:
    for arguments in (("check", "run.yaml"), ("run", "run.yaml"), ("show", "runs/run")):
        outcome = harmless(hostile.orchard(*arguments))
        assert outcome.code == 0, outcome
        assert "[red]x[link=evil]y" in outcome.out.replace("\n", "")
    told = harmless(hostile.orchard("show", "runs/run", "--json"))
    assert {row["policy"] for row in json.loads(told.out)["rows"]} == {NASTY}


def test_errors_and_what_differs_on_resuming(hostile: Person) -> None:
    assert harmless(hostile.orchard("run", "run.yaml")).code == 0
    other = harmless(hostile.orchard("run", "run.yaml", "--set", f"task.answer={NASTY}"))
    assert other.code == 1
    hostile.server.models = (NASTY,)
    for arguments in (("check", "run.yaml"), ("run", "run.yaml", "--out", "new")):
        refused = harmless(hostile.orchard(*arguments))
        assert refused.code == 1 and "does not serve the model" in refused.out + refused.err
    hostile.server.models = ("policy",)
    hostile.server.rules.clear()
    for path in (CHAT, COMPLETIONS, POOLING):
        hostile.server.on(path, status(500, NASTY), forever=True)
    failed = harmless(hostile.orchard("run", "run.yaml", "--out", "failed"))
    assert failed.code == 1 and "answers 500: " in failed.err


def test_an_evaluation_of_prms(hostile: Person) -> None:
    samples = [
        {"id": f"{i}{NASTY}", "problem": NASTY, "steps": [NASTY, "b"], "label": i % 3 - 1,
         "final_answer_correct": True, "generator": NASTY}
        for i in range(12)
    ]  # fmt: skip
    name = f"{NASTY}.jsonl"
    hostile.write(name, "".join(json.dumps(sample) + "\n" for sample in samples))
    hostile.server.on(
        POOLING, *[status(400, f"maximum context length {NASTY}")] * 3,
        when=lambda body: "\x1b" in body["input"][0],
    )  # fmt: skip
    evaluated = harmless(hostile.orchard("prm-eval", "run.yaml", "--data", name))
    assert evaluated.code == 0 and "longer than the PRM's context" in evaluated.out, evaluated
    damaged = hostile.write(name, json.dumps({**samples[0], "label": NASTY}) + "\n")
    assert harmless(hostile.orchard("prm-eval", "run.yaml", "--data", damaged)).code == 1


def test_a_terminal_that_is_one(hostile: Person) -> None:
    """What is ours moves the cursor there, so it is looked at for what is theirs."""
    parent, child = pty.openpty()
    shown = bytearray()

    def read() -> None:
        with suppress(OSError):  # the other end is closed
            while part := os.read(parent, 65_536):
                shown.extend(part)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    done = subprocess.run(
        [ORCHARD, "run", "run.yaml"], cwd=hostile.home, stdin=child, stdout=child, stderr=child,
        timeout=60, check=False, env={**os.environ, "TERM": "xterm", "COLUMNS": "200"},
    )  # fmt: skip
    os.close(child)
    reader.join(10)
    os.close(parent)
    text = shown.decode()
    assert done.returncode == 0, text
    assert r"\u001b[2J\u001b]0;owned" in text and "[link=evil]y" in text
    for theirs in ("\x1b[2J", "\x1b]", "\x07", "\x9b", "\u202e", "\u2066", "\x7f"):
        assert theirs not in text


def test_what_a_server_of_a_fleet_writes_before_it_dies(person: Person) -> None:
    folder = person.home / "model"
    shutil.copytree(ROOT / "servers/tiny/models/policy-160k", folder)
    (folder / "refuse").write_text(f"ValueError: {NASTY}")
    stand_in = ROOT / "tests/integration/standin_vllm.py"
    python = person.write("python", f'#!/bin/sh\nexec {sys.executable} {stand_in} "$@"\n')
    python.chmod(0o755)
    model = {"source": str(folder), "role": "policy", "prompt": "tiny", "context": 512,
             "parameters": 162816}  # fmt: skip
    fleet = {"name": "dies", "python": str(python), "device": "cpu", "services": {"small": {}}}
    values = {"models": {"small": model}, "servers": {"fleet": fleet}}
    person.write("fleet.yaml", yaml.safe_dump(values))
    person.environment["XDG_STATE_HOME"] = str(person.home / "state")
    died = harmless(person.orchard("servers", "up", "fleet.yaml", "--detach"))
    assert died.code == 1 and "[red]x[link=evil]y" in died.err
