"""Run one server so that nothing of it outlives its supervisor.

``python keeper.py GRACE COMMAND…`` starts the command in a session of its own, prints its process
id, and ends it with all its descendants when standard input, a pipe that only the supervisor holds
open, comes to its end: however the supervisor died, the kernel closes that pipe. It also ends what
is left of a server whose first process died. Standard error is the server's log.

As a subreaper (prctl(2)) the keeper inherits whatever its server orphans, so descendants that
changed their session are found too, and the keeper is done when it has no child left. Should the
keeper itself be killed, the kernel kills the server's first process (PR_SET_PDEATHSIG), and the
supervisor what that one leaves.

Runs as a script on the standard library alone, without site-packages: it starts in a few
hundredths of a second. Linux only.
"""

import ctypes
import os
import select
import signal
import sys
from time import monotonic

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_PR_SET_CHILD_SUBREAPER = 36
_CANNOT_EXECUTE = 127
_POLL_S = 0.01


def main() -> None:
    grace, command = float(sys.argv[1]), sys.argv[2:]
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    server = _spawn(command, libc)  # before there are handlers, which would swallow its SIGTERM
    print(server, flush=True)
    woken, waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(waker)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # only to write to the pipe above
    code = _watch(server, woken, grace)
    _end_children()
    sys.exit(code if code >= 0 else 128 - code)


def _spawn(command: list[str], libc: ctypes.CDLL) -> int:
    keeper = os.getpid()
    server = os.fork()
    if server:
        return server
    try:
        os.setsid()
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != keeper:  # it died before the line above
            os._exit(_CANNOT_EXECUTE)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(2, 1)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and exec hands that on
        os.execvp(command[0], command)
    except OSError as error:
        os.write(2, f"cannot run {command[0]}: {error.strerror}\n".encode())
    os._exit(_CANNOT_EXECUTE)


def _watch(server: int, woken: int, grace: float) -> int:
    """The server's exit code, after it ended or was told to."""
    told: float | None = None
    while (code := _reap(server)) is None:
        left = None if told is None else told + grace - monotonic()
        if left is not None and left <= 0:
            return -signal.SIGKILL
        watched = [woken] if told is not None else [0, woken]
        readable, _, _ = select.select(watched, [], [], left)
        numbers = os.read(woken, 4096) if woken in readable else b""
        ended = 0 in readable and not os.read(0, 4096)
        if told is None and (ended or signal.SIGTERM in numbers or signal.SIGINT in numbers):
            told = monotonic()
            os.kill(server, signal.SIGTERM)
    return code


def _reap(server: int) -> int | None:
    """Take every child that has ended; the server's exit code if it was among them."""
    code = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if pid == 0:
            return code
        if pid == server:
            code = os.waitstatus_to_exitcode(status)


def _end_children() -> None:
    """Kill children until there are none: those of a killed child become children of this one."""
    while True:
        for pid in _children():
            os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
        except ChildProcessError:
            return
        select.select([], [], [], _POLL_S)


def _children() -> list[int]:
    """This process's children. None of their ids can pass to another process until reaped here."""
    found = []
    for entry in os.listdir("/proc"):  # noqa: PTH208 (importing pathlib takes longer than all else)
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", "rb") as stat:  # noqa: PTH123
                    # The name in parentheses may itself hold spaces and parentheses.
                    parent = stat.read().rpartition(b")")[2].split()[1]
            except OSError:
                continue
            if int(parent) == os.getpid():
                found.append(int(entry))
    return found


if __name__ == "__main__":
    main()
