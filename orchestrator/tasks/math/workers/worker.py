"""The process that does the algebra: reads comparisons, writes verdicts, one JSON line each.

It says ``{"ready": true}`` once it can work, or ``{"error": "…"}``; then answers
``{"answer": …, "reference": …, "seconds": …, "patience": …}`` with ``{"same": true}``; null says
that it could not decide. It ends when its input does, which is when its parent ends in whatever
way. While it calculates, two alarms of the kernel bound it, even within a multiplication that never
returns to Python: SIGPROF after ``seconds`` of its own CPU time, SIGALRM after ``patience`` seconds
of wall-clock time.
"""

import contextlib
import json
import os
import resource
import signal
import sys
from typing import TextIO

MEMORY = 4 << 30
"""Bytes of address space: a tower of powers runs into this instead of the machine's memory."""


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    for alarm in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(alarm, signal.SIG_DFL)  # which ends the process, without Python's help
    with contextlib.suppress(ValueError, OSError):  # a system that has a lower limit or none
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    # Parsers print: verdicts get the pipe to themselves.
    with os.fdopen(os.dup(1), "w") as verdicts, contextlib.suppress(BrokenPipeError):
        os.dup2(2, 1)
        _serve(verdicts)


def _serve(verdicts: TextIO) -> None:
    try:
        from orchestrator.tasks.math.comparing.symbolic import same
    except ImportError as error:
        _say(verdicts, {"error": str(error)})
        return
    _say(verdicts, {"ready": True})
    for line in sys.stdin:
        asked = json.loads(line)
        signal.setitimer(signal.ITIMER_PROF, asked["seconds"])
        signal.setitimer(signal.ITIMER_REAL, asked["patience"])
        verdict: bool | None = None
        is_full = False
        try:
            verdict = same(asked["answer"], asked["reference"])
        except MemoryError:
            is_full = True
        except Exception:  # sympy raises anything at all, and says nothing by it
            pass
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        _say(verdicts, {"same": verdict})
        if is_full:
            return  # the next comparison needs the memory


def _say(verdicts: TextIO, message: dict[str, object]) -> None:
    verdicts.write(json.dumps(message) + "\n")
    verdicts.flush()


if __name__ == "__main__":
    main()
