import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from servers.fleet import keeper
from servers.fleet.leftovers import start_time

KEEPER = [sys.executable, "-I", "-S", keeper.__file__]
# Starts a child in a session of its own, says its id, and waits; SIGTERM ends it or not.
SERVER = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN if {stubborn} else signal.SIG_DFL)
child = os.fork()
if child == 0:
    os.setsid()
    time.sleep(600)
print(child, flush=True)
time.sleep({sleep})
sys.exit(3)
"""


class Kept:
    def __init__(self, log: Path, *, stubborn: bool = False, sleep: float = 600) -> None:
        server = SERVER.format(stubborn=stubborn, sleep=sleep)
        self.log = log
        with log.open("wb") as output:
            self.keeper = subprocess.Popen(
                [*KEEPER, "0.3", sys.executable, "-I", "-S", "-c", server],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
            )
        assert self.keeper.stdout is not None
        self.server = int(self.keeper.stdout.readline())
        await_(lambda: log.read_text().endswith("\n"))
        self.child = int(log.read_text())

    def leave(self) -> int:
        """Close the pipe, as the kernel does for a supervisor that was killed."""
        assert self.keeper.stdin is not None
        self.keeper.stdin.close()
        return self.keeper.wait(10)

    def is_gone(self) -> bool:
        return start_time(self.server) is None and start_time(self.child) is None


def await_(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.01)


def test_the_end_of_the_pipe_ends_the_server_and_its_children(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "log")
    assert kept.leave() == 128 + signal.SIGTERM
    assert kept.is_gone()


def test_a_server_that_ignores_sigterm_is_killed_after_its_grace(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "log", stubborn=True)
    began = time.monotonic()
    assert kept.leave() == 128 + signal.SIGKILL
    assert time.monotonic() - began >= 0.3
    assert kept.is_gone()


def test_what_a_server_leaves_behind_goes_with_it_and_its_code_is_passed_on(
    tmp_path: Path,
) -> None:
    kept = Kept(tmp_path / "log", sleep=0.1)
    assert kept.keeper.wait(10) == 3
    assert kept.is_gone()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_keeper_told_to_end_takes_its_server_along(
    tmp_path: Path, number: signal.Signals
) -> None:
    kept = Kept(tmp_path / "log")
    kept.keeper.send_signal(number)
    kept.keeper.wait(10)
    assert kept.is_gone()


def test_a_killed_keeper_s_server_is_killed(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "log")
    kept.keeper.kill()
    kept.keeper.wait(10)
    await_(lambda: start_time(kept.server) is None)
    os.kill(kept.child, signal.SIGKILL)  # in a session of its own: its supervisor's to find


def test_a_command_that_cannot_run_says_so_in_the_log(tmp_path: Path) -> None:
    command = [*KEEPER, "1", "/no/python"]
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(command, stdin=subprocess.PIPE, stderr=log) as run,
    ):
        assert run.wait(10) == 127
    assert (tmp_path / "log").read_text() == "cannot run /no/python: No such file or directory\n"
