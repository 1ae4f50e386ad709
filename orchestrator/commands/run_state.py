"""What a run directory has left to do, what was lost on its way and what its journal keeps."""

from pathlib import Path

from orchestrator.commands.begun import begun, resumes
from orchestrator.commands.profile.profiling import PROFILES
from orchestrator.config.run import RunConfig
from orchestrator.errors import OrchardError, RunError
from orchestrator.report.data.summary import Summary
from orchestrator.report.data.wording import counted, megabytes
from orchestrator.runs.endings import STOPPED
from orchestrator.runs.plan import Plan
from orchestrator.storage.journal import JOURNAL, kept_by
from orchestrator.storage.store import is_in_use, is_open, read_records
from orchestrator.wiring.experiment import Experiment


def what_is_left(run: Path, config: RunConfig) -> str | None:
    """Whether a run or profile is under way or unfinished, and the command that goes on with it."""
    try:
        kind = begun(run).kind
    except RunError as error:  # the results are as they were
        return str(error)
    if kind == "run":
        try:
            planned = Experiment.of(config).plan
        except OrchardError:  # its task is out of reach from here
            return None
        if is_in_use(run):
            return f"The run is under way: {problems(left(run, planned))} to go."
        return unfinished(run, planned)
    if is_in_use(run):
        return "The profile is under way."
    if any((run / PROFILES).glob("*")):
        return None
    return f"Its profiles are not fitted yet. Go on with:\n  {resumes(run)}"


def unfinished(run: Path, planned: Plan) -> str | None:
    """What is left of a run, why where it failed, and the command that goes on with it."""
    to_go = left(run, planned)
    if not to_go:
        return None
    errors = [each.error for each in read_records(run) if each.error not in (None, STOPPED)]
    why = f"; the last that failed: {errors[-1]}" if errors else ""
    return f"Unfinished: {problems(to_go)} to go{why}. Go on with:\n  {resumes(run)}"


def problems(count: int) -> str:
    return f"{count:,} problem{'s' if count != 1 else ''} of its cells"


def left(run: Path, planned: Plan) -> int:
    """How many problems of its cells a run has not finished."""
    caps = {cell.id: cell.cap for cell in planned.cells}
    finished = {
        (record.cell, record.problem)
        for record in read_records(run)
        if not is_open(record, caps.get(record.cell))
    }
    return sum(
        (cell.id, problem.id) not in finished
        for cell in planned.cells
        for problem in planned.problems[: cell.problems]
    )


def kept(run: Path, config: RunConfig, summary: Summary) -> str:
    """What a run lost and what its journal keeps, in a line."""
    lost = counted(summary.failed_branches, "branches")
    became = f" (on_failed_branch: {config.on_failed_branch})" if summary.failed_branches else ""
    journal = kept_by(run / JOURNAL)
    holds = (
        "no journal"
        if journal is None
        else f"journal {megabytes(journal.size)}, {counted(journal.responses, 'responses')}"
    )
    return f"{lost} failed{became}; {holds}"
