"""The process that does the algebra: reads comparisons, writes verdicts, one JSON line each.

It says ``{"ready": true}`` once it can work, or ``{"error": "…"}``; then answers
``{"answer": …, "reference": …, "seconds": …}`` with ``{"same": true}``. It ends when its input
does, which is when its parent ends in whatever way; while it calculates, an alarm of the kernel
ends it even within a multiplication that never returns to Python.
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
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # which ends the process, without Python's help
    with contextlib.suppress(ValueError, OSError):  # a system that has a lower limit or none
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    # Parsers print: verdicts get the pipe to themselves.
    with os.fdopen(os.dup(1), "w") as verdicts, contextlib.suppress(BrokenPipeError):
        os.dup2(2, 1)
        _serve(verdicts)


def _serve(verdicts: TextIO) -> None:
    try:
        from orchestrator.tasks.symbolic import same
    except ImportError as error:
        _say(verdicts, {"error": str(error)})
        return
    _say(verdicts, {"ready": True})
    for line in sys.stdin:
        asked = json.loads(line)
        signal.setitimer(signal.ITIMER_REAL, asked["seconds"])
        try:
            verdict = same(asked["answer"], asked["reference"])
        except Exception:  # sympy raises anything at all; what cannot be compared is not equal
            verdict = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        _say(verdicts, {"same": verdict})


def _say(verdicts: TextIO, message: dict[str, object]) -> None:
    verdicts.write(json.dumps(message) + "\n")
    verdicts.flush()


if __name__ == "__main__":
    main()
