"""Runs as a person sees them: finished, looked at again, stopped, killed and gone on with."""

import json
import re
import shlex
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from orchestrator.core.voting import BY_SCORES
from tests.acceptance.conftest import KEY, Outcome, Person
from tests.integration.misbehaving import Server, running_beside

ROW = {
    "task", "policy", "policy_params", "prm", "strategy", "n", "vote", "problems", "accuracy",
    "ci_low", "ci_high", "policy_tokens", "prm_tokens", "requests", "seconds", "by_difficulty",
}  # fmt: skip
HEADLINE = {
    "small", "small_params", "prm", "strategy", "n", "small_accuracy", "large", "large_params",
    "large_accuracy", "difference", "ci_low", "ci_high",
}  # fmt: skip


def until(reached: Callable[[], object], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.05)


# A run that finishes


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Person, Outcome]]:
    """A whole run behind an API key, with ``--json``."""
    with running_beside(Server(key=KEY)) as server:
        home = tmp_path_factory.mktemp("finished")
        person = Person(home, server, {"ORCHARD_TEST_KEY": KEY})
        values = person.config()
        for endpoint in [*values["policies"].values(), *values["prms"].values()]:
            endpoint["api_key_env"] = "ORCHARD_TEST_KEY"
        person.write("run.yaml", yaml.safe_dump(values))
        yield person, person.orchard("run", "run.yaml", "--json", "--figures")


def test_json_is_all_there_is_on_stdout(finished: tuple[Person, Outcome]) -> None:
    person, outcome = finished
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out) == json.loads(
        (person.home / "runs/run/summary.json").read_text()
    )


def test_the_summary_has_the_fields_that_were_promised(finished: tuple[Person, Outcome]) -> None:
    summary = json.loads(finished[1].out)
    assert all(row.keys() >= ROW for row in summary["rows"])
    assert summary["headline"].keys() >= HEADLINE
    votes: dict[tuple[str, str, int], set[str]] = {}
    for row in summary["rows"]:
        votes.setdefault((row["policy"], row["strategy"], row["n"]), set()).add(row["vote"])
    by_scores = {"majority", *(vote.name for vote in BY_SCORES)}
    assert votes == {
        ("policy", "cot", 1): {"majority"},
        ("policy", "majority", 4): {"majority"},
        ("policy", "beam_search", 4): by_scores,
        ("policy", "dvts", 4): by_scores,
        ("large", "cot", 1): {"majority"},
    }
    for row in summary["rows"]:
        assert 0 <= row["ci_low"] <= row["accuracy"] <= row["ci_high"] <= 1
        assert row["problems"] == 4 and row["requests"] > 0 and row["policy_tokens"] > 0
        assert (row["prm_tokens"] > 0) == (row["prm"] == "prm")
    headline = summary["headline"]
    assert headline["difference"] == headline["small_accuracy"] - headline["large_accuracy"]
    assert (headline["small_params"], headline["large_params"]) == (1000, 9000)


def test_figures_are_drawn(finished: tuple[Person, Outcome]) -> None:
    person, outcome = finished
    figures = person.home / "runs/run/figures"
    for name in ("accuracy_vs_n", "accuracy_vs_tokens"):
        assert (figures / f"{name}.svg").stat().st_size > 1000
        assert (figures / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert f"runs/run/figures/{name}.png" in outcome.err


def test_the_key_is_nowhere_in_what_a_run_leaves(finished: tuple[Person, Outcome]) -> None:
    person, outcome = finished
    assert {call.key for call in person.server.calls} == {f"Bearer {KEY}"}
    files = [path for path in person.home.rglob("*") if path.is_file()]
    assert len(files) > 5
    assert not any(KEY.encode() in path.read_bytes() for path in files)
    assert KEY not in outcome.out + outcome.err
    assert "ORCHARD_TEST_KEY" in (person.home / "runs/run/config.yaml").read_text()


def test_a_second_run_asks_nothing_and_prints_the_same(finished: tuple[Person, Outcome]) -> None:
    person, outcome = finished
    requests = len(person.server.calls)
    again = person.orchard("run", "run.yaml")
    shown = person.orchard("show", "runs/run")
    assert len(person.server.calls) == requests
    assert shown.code == again.code == 0
    table, _, files = again.out.partition("Summary  ")
    assert table == shown.out and "beam search" in table
    assert "runs/run/summary.json" in files
    assert json.loads(person.orchard("show", "runs/run", "--json").out) == json.loads(outcome.out)


def test_the_resolved_config_in_the_directory_can_be_run_itself(
    finished: tuple[Person, Outcome],
) -> None:
    person, _ = finished
    requests = len(person.server.calls)
    again = person.orchard("run", "runs/run/config.yaml", "--out", "runs/run")
    assert (again.code, again.err, len(person.server.calls)) == (0, "", requests)


# A run that is stopped

MANY = 40


def long_run(person: Person) -> tuple[Path, int]:
    """A config whose run takes seconds, and how many records it ends with."""
    person.problems(MANY)
    person.server.delay = 0.05
    cells = [
        {"policy": ["policy", "large"], "strategy": "cot"},
        {
            "policy": "policy", "prm": "prm", "strategy": "beam_search", "n": 4, "width": 2,
        },
    ]  # fmt: skip
    return person.write_config(cells=cells, headline=None, trees=1), 3 * MANY


def half_way(person: Person) -> bool:
    path = person.home / "runs/run/records.jsonl"
    return path.exists() and path.read_bytes().count(b"\n") > MANY


def check_whole(person: Person, total: int, before: list[dict[str, Any]]) -> None:
    """Every record once, and those that were there ``before`` untouched."""
    records = person.records()
    assert records[: len(before)] == before
    once = Counter((record["cell"], record["problem"]) for record in records)
    assert len(once) == total and set(once.values()) == {1}
    assert not any(record["error"] for record in records)


def expected_calls(records: list[dict[str, Any]]) -> int:
    return sum(record["requests"] for record in records)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_prints_the_command_that_finishes_it(
    person: Person, number: signal.Signals
) -> None:
    config, total = long_run(person)
    with person.start("run", config.name, "--set", "seed=3") as process:
        until(lambda: half_way(person))
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err == ""
    before = person.records()
    assert MANY < len(before) < total

    # while it ran, a line now and then told how far it was
    assert re.search(
        r"^\d+/120 problems  \d+ trees in flight  \d+ requests/s  \d+ policy \+ \d+ PRM tokens/s  "
        r"\d+ s left$",
        out,
        re.MULTILINE,
    ), out

    assert "All that is paid for is kept" in out
    program, *arguments = shlex.split(out.splitlines()[-1])
    assert (program, *arguments) == ("orchard", "resume", "runs/run")
    shown = person.orchard("show", "runs/run").out
    assert "headline" not in shown
    assert f"Unfinished: {total - len(before)} problems of its cells to go" in shown
    assert shown.splitlines()[-1] == "  orchard resume runs/run"
    person.server.delay = 0
    person.server.calls.clear()
    resumed = person.orchard(*arguments)
    assert (resumed.code, resumed.err) == (0, "")
    check_whole(person, total, before)
    probes = 6 * 2 + 1  # six requests to each policy, one to the PRM
    paid_for = expected_calls(person.records()[len(before) :])
    paid_before = person.journaled() - expected_calls(before) - len(person.server.generated())
    assert len(person.server.generated()) == paid_for + probes - (paid_before + probes)
    assert 0 <= paid_before + probes <= 12  # of the one tree that was under way


def test_a_killed_run_goes_on_where_it_was(person: Person) -> None:
    config, total = long_run(person)
    with person.start("run", config) as process:
        until(lambda: half_way(person))
        process.kill()
    path = person.home / "runs/run/records.jsonl"
    before = person.records()
    path.write_bytes(path.read_bytes() + b'{"cell": "policy/cot-te')  # as torn as it can be
    assert person.orchard("show", "runs/run").code == 0
    person.server.delay = 0
    resumed = person.orchard("run", config)
    assert (resumed.code, resumed.err) == (0, "")
    check_whole(person, total, before)


def test_a_run_whose_endpoint_dies_keeps_what_it_has_and_goes_on_later(person: Person) -> None:
    config, total = long_run(person)
    with person.start("run", config) as process:
        until(lambda: half_way(person))
        person.server.key = "a key that nobody has"
        out, err = process.communicate(timeout=30)
    outcome = Outcome(process.returncode, out, err)
    assert "refuses the API key (401)" in outcome.complaint
    before = person.records()
    person.server.key, person.server.delay = None, 0
    assert person.orchard("run", config).code == 0
    check_whole(person, total, before)


# Servers that a run starts


def tiny_servers() -> set[int]:
    """The process ids of this test's embedded servers, and of nobody else's."""
    found = set()
    for process in psutil.process_iter(["pid", "cmdline", "environ"]):
        command, environment = process.info["cmdline"] or [], process.info["environ"] or {}
        if "servers.tiny" in command and environment.get("ORCHARD_TEST_RUN") == MARK:
            found.add(process.info["pid"])
    return found


MARK = f"{time.time_ns()}"


def embedded(person: Person, problems: int) -> Path:
    person.environment["ORCHARD_TEST_RUN"] = MARK
    return person.write_config(
        task={"name": "chains", "problems": problems},
        policies={"policy-160k": {"prompt": "tiny"}},
        prms={},
        cells=[{"policy": "policy-160k", "strategy": "cot", "max_tokens": 48}],
        servers={"tiny": {"replicas": 1}},
        headline=None,
        trees=2,
    )


def test_servers_end_with_a_run_that_finishes(person: Person) -> None:
    config = embedded(person, 2)
    seen: set[int] = set()
    with person.start("run", config) as process:
        watcher = threading.Thread(target=watch, args=(process, seen))
        watcher.start()
        out, err = process.communicate(timeout=60)
        watcher.join()
    assert (process.returncode, err) == (0, ""), out
    assert seen and not tiny_servers()
    assert not person.server.calls


def watch(process: subprocess.Popen[str], seen: set[int]) -> None:
    while process.poll() is None:
        seen |= tiny_servers()
        time.sleep(0.2)


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -signal.SIGKILL)],
)
def test_servers_end_with_a_run_however_it_ends(
    person: Person, number: signal.Signals, code: int
) -> None:
    config = embedded(person, 1000)
    records = person.home / "runs/run/records.jsonl"
    with person.start("run", config) as process:
        until(lambda: records.exists() and records.stat().st_size > 0)
        assert tiny_servers()
        process.send_signal(number)
        process.communicate(timeout=20)
    assert process.returncode == code
    until(lambda: not tiny_servers(), seconds=5)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_may_be_stopped_while_its_servers_start(
    person: Person, number: signal.Signals
) -> None:
    config = embedded(person, 2)
    with person.start("run", config) as process:
        until(tiny_servers)
        time.sleep(0.3)  # it loads its packages now, and has not answered
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, "")
    assert "go on with:" in out
    until(lambda: not tiny_servers(), seconds=5)
