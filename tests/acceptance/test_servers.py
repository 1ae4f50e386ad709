"""`orchard servers`, and runs on a fleet of their own: the embedded server stands in for vLLM."""

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
import yaml

from tests.acceptance.conftest import Person
from tests.integration.misbehaving import Server

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "servers" / "tiny" / "models"
PATIENCE_S = 60.0


def config(home: Path, **changes: Any) -> Path:
    """A run on a fleet of one policy and one PRM; top-level keys as given."""
    python = home / "python"
    stand_in = Path(__file__).with_name("tiny_as_vllm.py")
    python.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} {stand_in} "$@"\n')
    python.chmod(0o755)
    values = {
        "models": {
            "small": {"source": str(MODELS / "policy-160k"), "role": "policy", "prompt": "tiny",
                      "context": 512, "parameters": 162816},
            "judge": {"source": str(MODELS / "prm-qwen"), "role": "prm", "family": "qwen_math",
                      "context": 512, "running_minimum": True, "options": {"system": None}},
        },
        "servers": {
            "fleet": {
                "name": "accepted", "python": str(python), "device": "cpu",
                "services": {"small": {}, "judge": {}},
            }
        },
        "task": {"name": "chains", "problems": 8},
        "policies": {"small": {}},
        "prms": {"judge": {}},
        "cells": [{"policy": "small", "prm": "judge", "strategy": "beam_search", "n": 4}],
    }  # fmt: skip
    path = home / "run.yaml"
    path.write_text(yaml.safe_dump(values | changes))
    return path


@pytest.fixture
def person(tmp_path: Path) -> Iterator[Person]:
    person = Person(tmp_path, Server(), {"XDG_STATE_HOME": str(tmp_path / "state")})
    yield person
    person.orchard("servers", "down", "accepted")


def marked() -> list[psutil.Process]:
    """The servers of the fleet: whoever started them, and wherever they went."""
    found = []
    for process in psutil.process_iter():
        try:
            if "servers.tiny" in process.cmdline() and "VLLM_API_KEY" in process.environ():
                found.append(process)
        except psutil.Error:
            continue
    return found


def eventually(is_so: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < until, what
        time.sleep(0.05)


def answers(url: str) -> bool:
    place = urlsplit(url)
    with socket.socket() as probe:
        return probe.connect_ex((str(place.hostname), int(place.port or 0))) == 0


def test_a_plan_is_a_table_and_what_does_not_fit_is_refused_with_what_would(person: Person) -> None:
    fleet = ROOT / "configs" / "fleets" / "qwen-1.5b.yaml"
    planned = person.orchard("servers", "plan", fleet, "--gpus", "2xH100")
    assert planned.code == 0
    assert "GPU 0  H100" in planned.out and "█ weights" in planned.out
    assert max(map(len, planned.out.splitlines())) <= 80
    told = json.loads(person.orchard("servers", "plan", fleet, "--gpus=1xH100", "--json").out)
    assert [(one["service"], one["gpus"]) for one in told] == [
        ("qwen2.5-1.5b", [0]), ("qwen2.5-math-prm-7b", [0]),
    ]  # fmt: skip
    complaint = person.orchard("servers", "plan", fleet, "--gpus", "1xL4").complaint
    assert "does not fit on 1 × L4" in complaint and "this would: 2 × L4" in complaint
    assert (
        'unknown card "H10"' in person.orchard("servers", "plan", fleet, "--gpus=1xH10").complaint
    )


def test_a_fleet_stays_up_for_runs_and_goes_down_whole(person: Person) -> None:
    path = config(person.home)
    up = person.orchard("servers", "up", path, "--detach")
    assert up.code == 0, up
    assert "small 0  ready" in up.out and "End it with orchard servers down accepted" in up.out

    (told,) = json.loads(person.orchard("servers", "status", "--json").out)
    urls = [replica["url"] for replica in told["replicas"]]
    assert all(answers(url) for url in urls)
    key = (person.home / "state/orchard/fleets/accepted/key").read_text()
    shown = person.orchard("servers", "status", path).out
    assert "judge 0" in shown and f"{urls[0]}/v1" in shown
    command_lines = [" ".join(process.cmdline()) for process in marked()]
    assert len(command_lines) == 2 and not any(key in line for line in command_lines)
    assert key not in up.out + shown

    assert person.orchard("servers", "up", path).complaint.startswith("orchard: fleet accepted: ")
    ran = person.orchard("run", path)
    assert (ran.code, len(person.records())) == (0, 8), ran
    assert all(answers(url) for url in urls), "a run leaves the fleet it found"

    down = person.orchard("servers", "down", path)
    assert "Fleet accepted is down." in down.out
    assert not marked() and not any(answers(url) for url in urls)
    assert "is not up" in person.orchard("servers", "down", "accepted").out


def test_a_run_brings_its_fleet_up_and_down_itself(person: Person) -> None:
    ran = person.orchard("run", config(person.home))
    assert ran.code == 0, ran
    assert "judge 0  ready" in ran.out and "beam search" in ran.out
    assert not marked()
    assert person.orchard("servers", "status").out == "No fleet is up.\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_fleet_in_the_foreground_ends_with_a_signal(person: Person, number: int) -> None:
    with person.start("servers", "up", config(person.home)) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "End it with Ctrl-C" in line:
                break
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert "Fleet accepted is down." in out
    assert not marked()


def test_a_fleet_taken_down_from_elsewhere_says_so_where_it_was_started(person: Person) -> None:
    with person.start("servers", "up", config(person.home)) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "End it with Ctrl-C" in line:
                break
        assert "is down" in person.orchard("servers", "down", "accepted").out
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (
        1,
        "orchard: fleet accepted: the fleet accepted was taken down\n",
    )
    assert not marked()


def test_nothing_stays_of_a_run_that_is_killed(person: Person) -> None:
    with person.start("run", config(person.home)) as process:
        eventually(lambda: len(marked()) == 2, "the fleet does not start")
        process.kill()
    eventually(lambda: not marked(), "servers stay")


def test_a_killed_replica_comes_back_and_the_run_finishes(person: Person) -> None:
    path = config(person.home, task={"name": "chains", "problems": 60}, trees=4)
    records = person.home / "runs" / "run" / "records.jsonl"
    with person.start("run", path) as process:
        eventually(lambda: records.exists() and records.stat().st_size > 0, "no record")
        policy = next(each for each in marked() if "policy-160k" in " ".join(each.cmdline()))
        os.kill(policy.pid, signal.SIGKILL)
        out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, ""), out
    assert len(person.records()) == 60
    assert not [record for record in person.records() if record.get("error")]
    state = json.loads((person.home / "state/orchard/fleets/accepted/state.json").read_text())
    restarts = {replica["service"]: replica["restarts"] for replica in state["replicas"]}
    assert restarts == {"small": 1, "judge": 0}


def test_a_run_whose_fleet_is_gone_says_so_at_once_and_goes_on_later(person: Person) -> None:
    path = config(person.home, task={"name": "chains", "problems": 200}, trees=2)
    records = person.home / "runs" / "run" / "records.jsonl"
    with person.start("run", path) as process:
        eventually(lambda: records.exists() and records.stat().st_size > 0, "no record")
        state = json.loads((person.home / "state/orchard/fleets/accepted/state.json").read_text())
        os.kill(state["supervisor"], signal.SIGKILL)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert err.startswith("orchard: fleet accepted: ") and "was killed" in err
    assert "what is finished is kept" in err and err.count("\n") == 1
    assert not marked()
    kept = len(person.records())
    assert 0 < kept < 200
    assert person.orchard("run", path, "--set=task.problems=8").code == 0
    assert len(person.records()) == max(8, kept)


def test_a_model_that_is_not_there_fails_the_fleet_in_one_line(person: Person) -> None:
    path = config(person.home)
    values = yaml.safe_load(path.read_text())
    values["models"]["judge"]["source"] = str(person.home / "nowhere")
    path.write_text(yaml.safe_dump(values))
    complaint = person.orchard("run", path).complaint
    assert "fleet accepted: judge-0" in complaint and "nowhere has no config.json" in complaint
    assert not marked()
