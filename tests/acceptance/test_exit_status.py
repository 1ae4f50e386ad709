"""What the shell is told, where results go that cannot be printed, and a directory that is gone."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.console.exit_status import ExitStatus
from tests.acceptance.conftest import ORCHARD, Person
from tests.acceptance.test_runs import half_way, long_run, until
from tests.integration.misbehaving import CHAT, html

COT = [{"policy": "policy", "strategy": "cot"}]


def only_cot(person: Person, count: int = 4) -> Path:
    person.problems(count)
    return person.write_config(prms={}, cells=COT, headline=None)


def test_0_says_that_every_problem_of_every_cell_is_finished(person: Person) -> None:
    assert person.orchard("run", person.write_config()).code == ExitStatus.FINISHED == 0
    assert person.orchard("resume", "runs/run").code == 0


def test_a_run_whose_problems_failed_ends_with_3_and_the_command_that_goes_on(
    person: Person,
) -> None:
    config = only_cot(person)
    person.server.on(
        CHAT, html(), when=lambda body: "3 + 3" in json.dumps(body["messages"]), forever=True
    )
    ran = person.orchard("run", config)
    assert ran.code == ExitStatus.UNFINISHED == 3, ran
    assert "Unfinished: 1 problem of its cells to go; the last that failed: " in ran.out
    assert ran.out.splitlines()[-1] == "  orchard resume runs/run"
    person.server.rules.clear()
    assert person.orchard("resume", "runs/run").code == 0


@pytest.mark.parametrize("limit", ["tokens=30", "policy_tokens=30", "requests=2"])
def test_a_budget_that_ends_a_run_before_all_problems_ends_it_with_3(
    person: Person, limit: str
) -> None:
    config = only_cot(person, 6)
    ran = person.orchard("run", config, "--set", f"budget.{limit}", "--set", "trees=1")
    assert ran.code == ExitStatus.UNFINISHED, ran
    name = limit.partition("=")[0]
    assert "Stopped early: the run budget of" in ran.out and "to go; with a larger one" in ran.out
    assert ran.out.splitlines()[-1] == f"  orchard resume runs/run --set budget.{name}=…"
    more = person.orchard("resume", "runs/run", "--set", f"budget.{name}=1e6")
    assert more.code == 0, more


def test_1_is_a_refusal_2_a_wrong_option_and_the_help_says_so(person: Person) -> None:
    assert person.orchard("run", "nowhere.yaml").code == ExitStatus.REFUSED == 1
    assert person.orchard("run", "--no-such-option").code == ExitStatus.USAGE == 2
    for command in ("run", "resume", "demo", "profile", "prm-eval"):
        told = " ".join(person.orchard(command, "--help").out.split())
        assert "0 every problem of every cell is finished" in told
        assert "3 unfinished" in told and "130 stopped" in told


# A directory that is deleted under way


def test_a_run_notices_that_its_directory_was_deleted(person: Person) -> None:
    config, _ = long_run(person)
    with person.start("run", config) as process:
        until(lambda: half_way(person))
        shutil.rmtree(person.home / "runs")
        out, err = process.communicate(timeout=20)
    assert process.returncode == 1, out
    assert err == (
        "orchard: runs/run was deleted while the run was under way: nothing of it is kept. Begin "
        "it again, in a directory that stays\n"
    )
    assert "All that is paid for is kept" not in out


def test_who_stops_a_run_whose_directory_is_gone_is_not_told_that_all_is_kept(
    person: Person,
) -> None:
    config, _ = long_run(person)
    person.server.delay = 3.0  # nothing is written between the deletion and the signal
    with person.start("run", config) as process:
        until(lambda: (person.home / "runs/run/journal.sqlite").exists())
        until(lambda: person.server.in_flight)
        shutil.rmtree(person.home / "runs")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert "is kept; go on with" not in out + err
    assert "runs/run was deleted while the run was under way" in out + err


# Where results cannot be printed


@pytest.mark.parametrize("option", [[], ["--json"]])
def test_a_full_stdout_is_one_line_and_the_results_are_kept(
    person: Person, option: list[str]
) -> None:
    config = only_cot(person)
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [ORCHARD, "run", config, *option],
            cwd=person.home,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("orchard: cannot write to stdout: No space left on device; what was")
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
    assert person.orchard("show", "runs/run").code == 0


def test_an_ascii_terminal_gets_the_same_table_in_ascii(person: Person) -> None:
    config = person.write_config()
    person.environment.update(PYTHONIOENCODING="ascii", LC_ALL="C", PYTHONUTF8="0")
    ran = person.orchard("run", config)
    assert ran.code == 0 and ran.out.isascii() and "Traceback" not in ran.err
    assert "beam search" in ran.out and "[" in ran.out
    assert person.orchard("show", "runs/run").code == 0
    assert json.loads(person.orchard("show", "runs/run", "--json").out)["rows"]
    refused = person.orchard("run", "läuft–nicht.yaml")
    assert refused.code == 1 and "there is no such file" in refused.err and refused.err.isascii()


def test_a_reader_that_leaves_early_is_no_error(person: Person) -> None:
    config = person.write_config()
    assert person.orchard("run", config).code == 0
    script = f"{ORCHARD} show runs/run | head -n 1"
    done = subprocess.run(
        ["bash", "-c", script], cwd=person.home, capture_output=True, text=True, timeout=60,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )  # fmt: skip
    assert "Traceback" not in done.stderr
