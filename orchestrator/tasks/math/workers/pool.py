"""Worker processes that can be killed, for algebra that may never end."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import TaskError

START_SECONDS = 120.0
"""For a worker to import its libraries, on a machine that is busy with models."""

PATIENCE = 30.0
"""Seconds of wall-clock time for each second of CPU time: a machine may be that busy."""


class Workers:
    """At most ``count`` worker processes, each started when it is first needed."""

    def __init__(self, *, count: int, seconds: float) -> None:
        self._seconds = seconds
        self._slots = asyncio.Semaphore(count)
        self._idle: list[_Worker] = []
        self.is_closed = False

    async def same(self, answer: str, reference: str) -> bool | None:
        """Whether algebra finds them equal; None where it took too long or could not tell.

        A worker that something else ends (a machine out of memory) is replaced once. Raises
        ``TaskError`` where no worker can be started.
        """
        async with self._slots:
            if self.is_closed:
                raise RuntimeError("the grader has been closed")
            for _ in range(2):
                worker = self._idle.pop() if self._idle else await _Worker.start()
                with contextlib.suppress(WorkerDied):
                    return await self._ask(worker, answer, reference)
            return None

    async def _ask(self, worker: "_Worker", answer: str, reference: str) -> bool | None:
        try:
            verdict = await worker.same(answer, reference, self._seconds)
        except BaseException:  # cancelled, too: its verdict is still to come, so it cannot go on
            await worker.end()
            raise
        if self.is_closed or worker.process.returncode is not None:
            await worker.end()
        else:
            self._idle.append(worker)
        return verdict

    async def close(self) -> None:
        """End every worker. Comparisons under way finish and end theirs."""
        self.is_closed = True
        while self._idle:
            await self._idle.pop().end()


class WorkerDied(Exception):
    """A worker ended before it answered."""


@dataclass(frozen=True, slots=True)
class _Worker:
    process: Process

    @classmethod
    async def start(cls) -> "_Worker":
        """Raises ``TaskError`` with the reason and the remedy."""
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "orchestrator.tasks.math.workers.worker",
                stdin=PIPE, stdout=PIPE, stderr=DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                start_new_session=True,  # out of reach of the terminal's Ctrl-C from the start
            )  # fmt: skip
        except OSError as error:
            raise TaskError(f"the grader cannot start a worker process: {error}") from error
        worker = cls(process)
        try:
            async with asyncio.timeout(START_SECONDS):
                greeting = await worker._read()
        except (TimeoutError, WorkerDied) as error:
            await worker.end()
            raise TaskError(
                "the grader's worker process did not start"
                f" ({'no sign of life' if isinstance(error, TimeoutError) else 'it ended'}). Run"
                f" `{sys.executable} -m orchestrator.tasks.math.workers.worker` to see why"
            ) from None
        except BaseException:
            await worker.end()
            raise
        if "error" in greeting:
            await worker.end()
            raise TaskError(
                f"answers cannot be compared: {greeting['error']}. Run `pip install sympy`"
            )
        return worker

    async def same(self, answer: str, reference: str, seconds: float) -> bool | None:
        """The verdict; None when it takes the worker more than so many seconds of CPU time.

        Raises ``WorkerDied``.
        """
        request = {
            "answer": answer,
            "reference": reference,
            "seconds": seconds,
            "patience": seconds * PATIENCE,
        }
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        with contextlib.suppress(ConnectionError):  # reading will tell
            await self.process.stdin.drain()
        try:
            verdict: bool | None = (await self._read())["same"]
        except WorkerDied:
            if -await self.process.wait() in (signal.SIGPROF, signal.SIGALRM):
                return None
            raise
        return verdict

    async def end(self) -> None:
        """Kill the process and wait until it is gone."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        assert self.process.stdin is not None
        self.process.stdin.close()
        await self.process.wait()

    async def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        if not line.endswith(b"\n"):
            raise WorkerDied
        message: dict[str, Any] = json.loads(line)
        return message
