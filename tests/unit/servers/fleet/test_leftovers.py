import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from servers.fleet.leftovers import end, mark, marked, start_time

SLEEP = [sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"]


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Two processes of replica a-0, one of them in a session of its own, and one of b-0."""
    processes = [
        subprocess.Popen(SLEEP, env=os.environ | mark("run7", name), start_new_session=leader)
        for name, leader in (("a-0", False), ("a-0", True), ("b-0", False))
    ]
    yield processes
    for process in processes:
        process.kill()
        process.wait()


def test_processes_are_found_by_replica_or_by_fleet(
    started: list[subprocess.Popen[bytes]],
) -> None:
    pids = [process.pid for process in started]
    while len(marked("run7")) < 3:  # until they are past exec
        time.sleep(0.01)
    assert sorted(marked("run7")) == sorted(pids)
    assert sorted(marked("run7", "a-0")) == sorted(pids[:2])
    assert marked("run7", "a") == marked("run", "a-0") == marked("run") == []


def test_ending_some_leaves_the_others(started: list[subprocess.Popen[bytes]]) -> None:
    while len(marked("run7")) < 3:
        time.sleep(0.01)
    assert end("run7", "a-0") == []
    assert marked("run7") == [started[2].pid]


def test_a_start_time_is_of_a_living_process() -> None:
    process = subprocess.Popen(SLEEP)
    mine, other = start_time(os.getpid()), start_time(process.pid)
    assert mine is not None and other is not None and other >= mine
    process.kill()
    while start_time(process.pid) is not None:  # dead, and not waited for yet
        time.sleep(0.01)
    process.wait()
    assert start_time(process.pid) is None
