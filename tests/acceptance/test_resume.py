"""Runs that are killed, stopped and short of disk: nothing that is paid for is lost."""

import asyncio
import json
import random
import re
import resource
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from aiohttp import web

from orchestrator.storage.journal import BATCH_SECONDS
from tests.acceptance.conftest import KEY, ORCHARD, Person
from tests.acceptance.test_runs import until
from tests.integration.misbehaving import CHAT, POOLING, Call, hang, status

KILLS = 25


def searches(person: Person, problems: int, **more: Any) -> Path:
    person.problems(problems)
    cells = [
        {"policy": "policy", "prm": "prm", "strategy": "beam_search", "n": 4, "width": 2},
        {"policy": "policy", "strategy": "majority", "n": 4},
    ]  # fmt: skip
    return person.write_config(cells=cells, headline=None, trees=4, **more)


def timeless(records: list[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps(record | {"seconds": 0, "ended": 0}) for record in records)


def test_a_run_killed_25_times_grows_the_same_trees_and_pays_for_each_step_once(
    person: Person,
) -> None:
    person.server.delay = 0.05
    config = searches(person, 60)
    assert person.orchard("check", config).code == 0
    probes = [call.body for call in person.server.generated()]
    person.server.calls.clear()
    assert person.orchard("run", config, "--out", "runs/whole").code == 0
    whole = person.records("runs/whole")
    paid_for_whole = tokens(beyond(probes, person.server.generated()))

    draw, paid, lost = random.Random(4), Counter[str](), Counter[str]()
    for kill in range(KILLS + 1):
        person.server.calls.clear()
        with person.start(*(("resume", "runs/run") if kill else ("run", config))) as process:
            more = len(probes) + draw.randrange(1, 30)
            until(lambda more=more: len(person.server.generated()) >= more or ended(process))
            if kill < KILLS:
                time.sleep(draw.uniform(0, 0.05))
                killed = time.monotonic()
                process.kill()
                assert process.wait() == -signal.SIGKILL, "it ended before it was killed"
            else:
                out, err = process.communicate(timeout=60)
                assert (process.returncode, err) == (0, ""), out
                killed = float("inf")
        calls = beyond(probes, person.server.generated())
        paid += tokens(calls)
        lost += tokens([call for call in calls if is_lost(call, killed)])

    assert timeless(person.records()) == timeless(whole)
    for model in ("policy", "prm"):
        assert 0 < paid[model] <= 1.01 * paid_for_whole[model] + lost[model]
        assert 0 < lost[model] < 0.5 * paid_for_whole[model]


def beyond(probes: list[dict[str, Any]], calls: list[Call]) -> list[Call]:
    """What a run asked for its trees."""
    return [call for call in calls if call.body not in probes]


def tokens(calls: list[Call]) -> Counter[str]:
    """What a server billed for ``calls``, by its models: prompts and completions."""
    billed: Counter[str] = Counter()
    for call in calls:
        billed[call.body["model"]] += call.tokens
    return billed


def is_lost(call: Call, killed: float) -> bool:
    """Whether a kill may have cost the answer: not sent yet, or so lately that the journal's batch
    was not written, which takes ``BATCH_SECONDS`` from when a busy machine came to read it."""
    return call.answered is None or call.answered > killed - BATCH_SECONDS - 0.03


def ended(process: subprocess.Popen[str]) -> bool:
    return process.poll() is not None


def test_ctrl_c_stops_three_thousand_trees_without_waiting_for_a_stuck_server(
    person: Person,
) -> None:
    person.problems(12_000)
    config = person.write_config(
        policies={"policy": {"url": person.server.url, "prompt": "tiny"}},
        prms={},
        cells=[{"policy": "policy", "strategy": "cot"}],
        headline=None,
        trees=3000,
    )
    draw, stuck = random.Random(4), Event()

    async def answer(request: web.Request, good: Any) -> web.StreamResponse:
        await asyncio.sleep(600 if stuck.is_set() else draw.uniform(0.5, 2.5))
        return web.json_response(good)

    person.server.on(CHAT, answer, when=lambda body: "What is" in json.dumps(body), forever=True)
    with person.start("run", config) as process:
        until(lambda: person.server.in_flight > 1000, 90)  # as it finds out what the server takes
        stuck.set()
        since = time.monotonic()
        until(lambda: sum(call.at > since for call in person.server.calls) > 1000)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "")
    assert out.splitlines()[-1] == "  orchard resume runs/run"
    held = [call for call in person.server.calls if call.at > since]
    until(lambda: all(call.left is not None for call in held))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_ctrl_c_ends_a_stop_that_is_held_up_and_the_run_goes_on(
    person: Person, number: signal.Signals
) -> None:
    person.server.delay = 0.05
    config = searches(person, 40)
    assert person.orchard("run", config, "--out", "runs/whole").code == 0
    person.server.calls.clear()
    with person.start("run", config) as process:
        journal = person.home / "runs/run/journal.sqlite"
        until(lambda: len(person.server.calls) > 80)
        with closing(sqlite3.connect(journal, isolation_level=None)) as another:
            another.execute("BEGIN IMMEDIATE")  # the journal is not closed before this ends
            asked = len(person.server.calls)
            until(lambda: len(person.server.calls) > asked + 4)
            process.send_signal(number)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(1)
            process.send_signal(number)
            _, err = process.communicate(timeout=1)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "  orchard resume runs/run"
    resumed = person.orchard("resume", "runs/run")
    assert (resumed.code, resumed.err) == (0, "")
    assert timeless(person.records()) == timeless(person.records("runs/whole"))


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


def test_a_run_goes_on_from_another_working_directory(person: Person) -> None:
    config = searches(person, 3)
    assert person.orchard("run", config).code == 0
    (person.home / "elsewhere").mkdir()
    person.problems(9, name="elsewhere/problems.jsonl")  # of the same name, and not the run's
    elsewhere = Person(person.home / "elsewhere", person.server)
    grown = ("--set=task.problems=9", "--set=trees=2")
    resumed = elsewhere.orchard("resume", "../runs/run", *grown)
    assert (resumed.code, resumed.err) == (0, "")
    assert len(person.records()) == 2 * 3
    refused = elsewhere.orchard("run", elsewhere.write_config(), "--out", "../runs/run")
    assert f"task.path: {person.home}/problems.jsonl → {elsewhere.home}/problems" in refused.err


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


def test_what_a_run_lost_and_what_its_journal_keeps_is_told(person: Person) -> None:
    ran = person.orchard("run", searches(person, 6))
    journal = person.home / "runs/run/journal.sqlite"
    kept = f"journal {journal.stat().st_size / 1e3:.0f} kB, {person.journaled()} responses"
    assert f"0 branches failed; {kept}" in ran.out.splitlines()
    lost = person.records()[0] | {"failed_branches": 3}
    with (person.home / "runs/run/records.jsonl").open("a") as file:
        file.write(json.dumps(lost) + "\n")
    shown = person.orchard("show", "runs/run").out.splitlines()
    assert f"3 branches failed (on_failed_branch: drop); {kept}" in shown
    assert json.loads(person.orchard("show", "runs/run", "--json").out)["failed_branches"] == 3


def test_a_resumed_run_tells_how_much_it_had_from_its_journal(person: Person) -> None:
    config = searches(person, 12)
    person.server.on(
        POOLING, hang(600), when=lambda body: "Step 2" in json.dumps(body), forever=True
    )
    with person.start("run", config) as process:
        until(lambda: "Step 2" in json.dumps([call.body for call in person.server.seen(POOLING)]))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    person.server.rules.clear()
    resumed = person.orchard("resume", "runs/run")
    told = re.search(r"(\d+) requests, of which (\d+) replayed from the journal\n", resumed.out)
    assert told is not None
    requests, replayed = map(int, told.groups())
    assert requests <= sum(record["requests"] for record in person.records())
    assert 3 <= replayed < requests  # a first step, its scores and a second one at least


def test_a_key_that_is_withdrawn_ends_the_run_with_the_endpoint_and_the_way_on(
    person: Person,
) -> None:
    config = searches(person, 12)
    person.server.on(
        POOLING, status(401), when=lambda body: "Step 2" in json.dumps(body), forever=True
    )
    complaint = person.orchard("run", config).complaint
    assert complaint.startswith(f"orchard: prm: {person.server.url}/pooling refuses the API key")
    assert "`api_key_env`" in complaint
    assert complaint.endswith("what is paid for is kept, go on with: orchard resume runs/run\n")
    person.server.rules.clear()
    assert person.orchard("resume", "runs/run").code == 0


def test_problems_that_failed_are_explained_with_the_way_on(person: Person) -> None:
    assert person.orchard("run", searches(person, 3)).code == 0
    failed = person.records()[0] | {"error": "policy: http://gpu7:8000 was down for 120 s"}
    with (person.home / "runs/run/records.jsonl").open("a") as file:
        file.write(json.dumps(failed) + "\n")
    assert person.orchard("show", "runs/run").out.endswith(
        "Unfinished: 1 problem of its cells to go; the last that failed: "
        "policy: http://gpu7:8000 was down for 120 s. Go on with:\n  orchard resume runs/run\n"
    )


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
