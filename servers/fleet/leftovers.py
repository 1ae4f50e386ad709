"""Find and end processes by a mark in their environment, whoever their parent is by now.

Children inherit the mark, no other process has it, and a reused process id does not carry it: so
this is safe to use on a fleet whose supervisor and keepers were all killed long ago.
"""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

MARK = "ORCHARD_FLEET_REPLICA"
_POLL_S = 0.01


def mark(run: str, replica: str = "") -> dict[str, str]:
    """The environment that marks a replica's processes, or its supervisor's.

    ``run`` is unique to one start of a fleet. vLLM's processes rename themselves, which overwrites
    the environment that others see, unless SPT_NOENV is set.
    """
    return {MARK: f"{run}/{replica}", "SPT_NOENV": "1"}


def marked(run: str, replica: str | None = None) -> list[int]:
    """Ids of the living processes of one replica, or of a whole fleet; never this process's."""
    exact = f"{MARK}={run}/{replica or ''}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue  # it ended, or is another user's
        if exact in variables if replica is not None else _any_starts(variables, exact):
            found.append(int(entry.name))
    return found


def end(run: str, replica: str | None = None, *, timeout: float = 10.0) -> list[int]:
    """Kill them all; return those that are still there after ``timeout`` seconds."""
    until = time.monotonic() + timeout
    while (found := marked(run, replica)) and time.monotonic() < until:
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_POLL_S)
    return found


def start_time(pid: int) -> int | None:
    """When a process started, in clock ticks since the boot; None if it has ended."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state in "ZX" else int(fields[18])  # proc_pid_stat(5), field 22


def _any_starts(variables: list[bytes], prefix: bytes) -> bool:
    return any(variable.startswith(prefix) for variable in variables)
