"""The worker processes of the grader: killed, starved, cancelled, left behind."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.core.problem import Problem
from orchestrator.errors import TaskError
from orchestrator.tasks.math.task import MathTask

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="looks for processes in /proc"
)
REPOSITORY = Path(__file__).parents[2]
ENDLESS = "(10^{9})!"
PROBLEM = Problem(id="p", question="?")


async def test_a_comparison_that_hangs_is_killed_undecided_and_grading_goes_on() -> None:
    async with MathTask(workers=1, seconds=1) as grader:
        assert await grader.same(PROBLEM, "x+1", "1+x")
        hung = processes()
        verdict = asyncio.create_task(grader.same(PROBLEM, ENDLESS, "x+8"))
        ticks = 0
        while not processes().isdisjoint(hung):
            await asyncio.sleep(0.05)
            ticks += 1
        assert ticks > 3  # the event loop went on meanwhile
        assert await verdict is None
        assert await grader.same(PROBLEM, ENDLESS, "x+9") is None
        assert await grader.same(PROBLEM, ENDLESS, ENDLESS) is True
        assert await grader.same(PROBLEM, "x+2", "2+x")
    assert await gone(processes)


async def test_a_tower_of_powers_is_undecided_and_ends_no_worker() -> None:
    tower = "9^{9^{9^{9}}}"
    async with MathTask(seconds=30) as grader:
        assert await grader.same(PROBLEM, "x+1", "1+x")
        workers = processes()
        assert await grader.same(PROBLEM, tower, "x+8") is None
        assert await grader.same(PROBLEM, tower, "1") is None
        assert await grader.same(PROBLEM, tower, tower) is True
        assert processes() == workers


async def test_a_worker_that_gets_no_cpu_time_decides_later_and_not_otherwise() -> None:
    async with MathTask(workers=1, seconds=1) as grader:
        assert await grader.same(PROBLEM, "x+1", "1+x")
        (worker,) = processes()
        os.kill(worker, signal.SIGSTOP)
        verdict = asyncio.create_task(grader.same(PROBLEM, "x+2", "2+x"))
        await asyncio.sleep(2.5)
        assert not verdict.done()
        os.kill(worker, signal.SIGCONT)
        assert await verdict is True


async def test_a_worker_that_is_killed_at_work_is_replaced_and_the_verdict_stands() -> None:
    async with MathTask(workers=1, seconds=30) as grader:
        assert await grader.same(PROBLEM, "x+1", "1+x")
        (worker,) = processes()
        os.kill(worker, signal.SIGSTOP)
        verdict = asyncio.create_task(grader.same(PROBLEM, "x+2", "2+x"))
        await asyncio.sleep(0.1)
        os.kill(worker, signal.SIGKILL)
        assert await verdict is True


async def test_leaving_the_grader_leaves_no_process() -> None:
    async with MathTask() as grader:
        await asyncio.gather(*(grader.same(PROBLEM, "x+1", f"x+{i}") for i in range(2, 5)))
        assert len(processes()) == 2
    assert processes() == set()


async def test_a_cancelled_comparison_ends_its_worker_at_once() -> None:
    async with MathTask(workers=1, seconds=60) as grader:
        await grader.same(PROBLEM, "x+1", "1+x")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await grader.same(PROBLEM, ENDLESS, "x+8")
        assert processes() == set()
        assert await grader.same(PROBLEM, "x+2", "2+x")


async def test_a_worker_that_dies_while_idle_is_replaced_and_nobody_notices() -> None:
    async with MathTask(workers=1, seconds=30) as grader:
        assert await grader.same(PROBLEM, "x+1", "1+x")
        (worker,) = processes()
        os.kill(worker, signal.SIGKILL)
        assert await gone(processes)
        assert await grader.same(PROBLEM, "x+2", "2+x")


async def test_a_grader_once_left_compares_no_more() -> None:
    async with MathTask() as grader:
        pass
    with pytest.raises(RuntimeError, match="closed"):
        await grader.same(PROBLEM, "x+1", "1+x")


async def test_a_task_works_until_the_last_leaves_it_and_can_be_entered_again() -> None:
    task = MathTask(workers=1)
    async with task:
        async with task:
            pass
        assert await task.same(PROBLEM, "x+1", "1+x")
    assert processes() == set()
    async with task:
        assert await task.same(PROBLEM, "x+2", "2+x")
    assert processes() == set()


async def test_a_worker_that_cannot_work_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sympy.py").write_text("raise ImportError('No module sympy')")
    monkeypatch.syspath_prepend(str(tmp_path))
    async with MathTask() as grader:
        with pytest.raises(TaskError, match="pip install sympy"):
            await grader.same(PROBLEM, "x+1", "1+x")
    assert processes() == set()


HOST = """
import asyncio
import signal
from orchestrator.core.problem import Problem
from orchestrator.tasks.math.task import MathTask

PROBLEM = Problem(id="p", question="?")

async def main():
    async with MathTask(workers=2, seconds=SECONDS) as grader:
        await asyncio.gather(grader.same(PROBLEM, "x+1", "1+x"), grader.same(PROBLEM, "x+2", "2+x"))
        print("warm", flush=True)
        await WAIT

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a shell's background
asyncio.run(main())
"""
HANGING = 'grader.same(PROBLEM, "(10^{9})!", "x+8")'


@pytest.mark.parametrize(
    ("wait", "ending"),
    [
        ("asyncio.sleep(60)", signal.SIGKILL),
        ("asyncio.sleep(60)", signal.SIGINT),
        (HANGING, signal.SIGKILL),
        (HANGING, signal.SIGINT),
    ],
)
async def test_no_worker_outlives_a_run_that_is_killed_or_interrupted(
    wait: str, ending: signal.Signals
) -> None:
    script = HOST.replace("WAIT", wait).replace("SECONDS", "1")
    host = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script,
        cwd=REPOSITORY, env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert host.stdout is not None
    assert await host.stdout.readline() == b"warm\n"
    workers = processes(host.pid)
    assert len(workers) == 2
    await asyncio.sleep(0.5)
    host.send_signal(ending)
    await host.communicate()
    assert await gone(lambda: {each for each in workers if alive(each)})


def processes(parent: int | None = None) -> set[int]:
    """The live workers among a process's children."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
            of = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(of[1]) == (parent or os.getpid()) and b"tasks.math.workers.worker" in command:
            found.add(int(folder.name))
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def gone(left: Callable[[], set[int]], seconds: float = 60) -> bool:
    """Whether nothing is left within so many seconds."""
    until = time.monotonic() + seconds
    while left():
        if time.monotonic() > until:
            return False
        await asyncio.sleep(0.05)
    return True
