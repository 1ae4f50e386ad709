"""Runs that are killed, stopped and short of disk: nothing that is paid for is lost."""

import json
import random
import resource
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from orchestrator.runs.journal import BATCH_SECONDS
from tests.acceptance.conftest import KEY, ORCHARD, Person
from tests.acceptance.test_runs import until
from tests.integration.misbehaving import CHAT, POOLING, hang

KILLS = 25


def searches(person: Person, problems: int, **more: Any) -> Path:
    person.problems(problems)
    cells = [
        {"policy": "policy", "prm": "prm", "strategy": "beam_search", "n": 4, "width": 2},
        {"policy": "policy", "strategy": "majority", "n": 4},
    ]  # fmt: skip
    return person.write_config(cells=cells, headline=None, trees=4, **more)


def timeless(records: list[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps(record | {"seconds": 0}) for record in records)


def test_a_run_killed_25_times_grows_the_same_trees_and_pays_for_each_step_once(
    person: Person,
) -> None:
    person.server.delay = 0.05
    config = searches(person, 60)
    assert person.orchard("run", config, "--out", "runs/whole").code == 0
    whole = person.records("runs/whole")
    asked_for_whole = len(person.server.generated())
    probes = asked_for_whole - person.journaled("runs/whole")

    draw, in_flight, paid = random.Random(4), 0, 0
    for kill in range(KILLS + 1):
        person.server.calls.clear()
        with person.start(*(("resume", "runs/run") if kill else ("run", config))) as process:
            more = probes + draw.randrange(1, 30)
            until(lambda more=more: len(person.server.generated()) >= more or ended(process))
            if kill < KILLS:
                time.sleep(draw.uniform(0, 0.03))
                process.kill()
                killed = time.monotonic()
                assert process.wait() == -signal.SIGKILL, "it ended before it was killed"
            else:
                out, err = process.communicate(timeout=60)
                assert (process.returncode, err) == (0, ""), out
                killed = float("inf")
        calls = person.server.generated()
        paid += len(calls) - probes
        recent = killed - person.server.delay - BATCH_SECONDS - 0.05
        in_flight += sum(call.at > recent for call in calls[probes:])

    assert timeless(person.records()) == timeless(whole)
    assert paid <= 1.01 * (asked_for_whole - probes) + in_flight
    assert in_flight < 16 * KILLS


def ended(process: subprocess.Popen[str]) -> bool:
    return process.poll() is not None


def test_ctrl_c_stops_two_thousand_trees_of_a_stuck_server_within_two_seconds(
    person: Person,
) -> None:
    person.problems(2000)
    cells = [{"policy": "policy", "strategy": "cot"}]
    policy = {"url": person.server.url, "prompt": "tiny", "concurrency": 4000}
    config = person.write_config(
        policies={"policy": policy}, prms={}, cells=cells, headline=None, trees=2000
    )
    person.server.on(
        CHAT, hang(600), when=lambda body: "What is 1" in json.dumps(body), forever=True
    )
    with person.start("run", config) as process:
        until(lambda: person.server.in_flight > 20)  # the others wait for their turn
        time.sleep(0.5)
        stopped = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        seconds = time.monotonic() - stopped
    assert (process.returncode, err) == (130, "")
    assert out.splitlines()[-1] == "  orchard resume runs/run"
    assert seconds < 2


def test_endpoints_elsewhere_and_another_concurrency_are_no_other_run(person: Person) -> None:
    config = searches(person, 6)
    person.server.on(POOLING, hang(600), when=lambda body: len(body["input"]) > 1, forever=True)
    with person.start("run", config) as process:
        until(lambda: person.server.in_flight)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    person.server.rules.clear()
    elsewhere = person.server.url.replace("127.0.0.1", "localhost") + "/v1"
    changes = ("trees=2", f"policies.policy.url={elsewhere}", "prms.prm.timeout=9")
    resumed = person.orchard("resume", "runs/run", *(f"--set={change}" for change in changes))
    assert (resumed.code, resumed.err) == (0, "")


def test_a_full_disk_is_one_line_and_the_run_goes_on_when_there_is_room(person: Person) -> None:
    config = searches(person, 40)
    assert person.orchard("run", config, "--out", "runs/whole").code == 0

    def little_room() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))

    process = subprocess.run(
        [ORCHARD, "run", str(config)],
        cwd=person.home,
        preexec_fn=little_room,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert process.returncode == 1
    assert process.stderr.count("\n") == 1 and "same command goes on" in process.stderr
    assert "cannot write runs/run/" in process.stderr
    resumed = person.orchard("resume", "runs/run")
    assert (resumed.code, resumed.err) == (0, "")
    assert timeless(person.records()) == timeless(person.records("runs/whole"))


def test_no_key_is_in_the_journal(person: Person) -> None:
    person.server.key = KEY
    person.environment["ORCHARD_TEST_KEY"] = KEY
    at = {"url": person.server.url, "api_key_env": "ORCHARD_TEST_KEY"}
    config = person.write_config(
        policies={"policy": {**at, "prompt": "tiny"}},
        prms={},
        cells=[{"policy": "policy", "strategy": "cot"}],
        headline=None,
    )
    assert person.orchard("run", config).code == 0
    assert person.journaled() == 4
    assert KEY.encode() not in (person.home / "runs/run/journal.sqlite").read_bytes()


def test_a_damaged_journal_is_never_used_and_the_records_stay(person: Person) -> None:
    config = searches(person, 6)
    person.server.on(POOLING, hang(600), when=lambda body: len(body["input"]) > 1, forever=True)
    with person.start("run", config) as process:
        until(lambda: person.server.in_flight and (person.home / "runs/run/records.jsonl").exists())
        process.kill()
    person.server.rules.clear()
    path = person.home / "runs/run/journal.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode=DELETE")
    path.write_bytes(path.read_bytes()[:6000])
    before = person.records()
    assert "journal.sqlite is damaged" in person.orchard("resume", "runs/run").complaint
    assert person.records() == before
    path.unlink()
    assert person.orchard("resume", "runs/run").code == 0


@pytest.mark.parametrize("folder", ["nowhere", "."])
def test_what_is_no_run_is_not_resumed(person: Person, folder: str) -> None:
    assert "name a run directory" in person.orchard("resume", folder).complaint
