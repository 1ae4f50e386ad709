"""How an evaluation of PRMs ends: with its results written, or early, with every score kept."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.console.exit_status import ExitStatus
from orchestrator.console.terminal import Terminal
from orchestrator.errors import BudgetExhausted, RateLimited, RunError
from orchestrator.report.data.prm_summary import PRMSummary, prm_json
from orchestrator.report.figures.prm_figures import draw_prms

SUMMARY = "prm-eval.json"


@contextmanager
def resumable(command: str, console: Terminal) -> Iterator[None]:
    """Ends the process where a person, the budget or a provider's rate limit stops the block, and
    says that ``command`` goes on with it."""
    try:
        yield
    except KeyboardInterrupt:
        console.print(f"Stopped. Every score is kept; go on with:\n  {command}")
        sys.exit(ExitStatus.STOPPED)
    except BudgetExhausted as exhausted:
        console.print(
            f"Stopped early: {exhausted}. Every score is kept; with a larger one this goes on:\n"
            f"  {command} --set budget.{exhausted.limit}=…"
        )
        sys.exit(ExitStatus.UNFINISHED)
    except RateLimited as limited:
        console.print(f"Stopped: {limited}. Every score is kept; go on then with:\n  {command}")
        sys.exit(ExitStatus.UNFINISHED)


def write_results(summary: PRMSummary, out: Path, *, figures: bool) -> list[Path]:
    """Write the summary, and the figures where wanted; returns those a person looks at.

    Raises ``RunError``.
    """
    try:
        (out / SUMMARY).write_bytes(prm_json(summary))
        drawn = draw_prms(summary, out / "figures") if figures else []
    except OSError as error:
        raise RunError(f"cannot write {out}: {error.strerror}; every score is kept") from error
    return [figure for figure in drawn if figure.suffix == ".png"]
