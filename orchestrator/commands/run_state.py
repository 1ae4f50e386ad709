"""What a person reads about a run directory: remaining work, failures, journal size."""

from orchestrator.commands.profile.profiling import PROFILES
from orchestrator.config.run import RunConfig
from orchestrator.errors import OrchardError, RunError
from orchestrator.report.data.summary import Summary
from orchestrator.report.data.wording import counted, megabytes
from orchestrator.runs.endings import STOPPED
from orchestrator.storage.finished import Planned, PlannedCell
from orchestrator.storage.run_directory import RunDirectory
from orchestrator.wiring.experiment import Experiment


def what_is_left(directory: RunDirectory, config: RunConfig) -> str | None:
    """Whether a run or profile is under way or unfinished, and the command that goes on with it."""
    try:
        kind = directory.manifest().kind
    except RunError as error:  # the results are as they were
        return str(error)
    if kind == "run":
        try:
            experiment = Experiment.of(config)
        except OrchardError:  # its task is out of reach from here
            return None
        if directory.is_in_use:
            return f"The run is under way: {to_go(remaining(directory, experiment))}."
        return unfinished(directory, experiment)
    if directory.is_in_use:
        return "The profile is under way."
    if any((directory.folder / PROFILES).glob("*")):
        return None
    return f"Its profiles are not fitted yet. Go on with:\n  {directory.resume_command}"


def unfinished(directory: RunDirectory, planned: Planned[PlannedCell]) -> str | None:
    """What is left of a run, why where it failed, and the command that goes on with it."""
    left = remaining(directory, planned)
    if not left:
        return None
    errors = [each.error for each in directory.records() if each.error not in (None, STOPPED)]
    why = f"; the last that failed: {errors[-1]}" if errors else ""
    return f"Unfinished: {to_go(left)}{why}. Go on with:\n  {directory.resume_command}"


def remaining(directory: RunDirectory, planned: Planned[PlannedCell]) -> int:
    """How many problems of its cells a run has not finished."""
    return sum(1 for _ in directory.remaining(planned))


def to_go(count: int) -> str:
    return f"{count:,} problem{'s' if count != 1 else ''} of its cells to go"


def losses(directory: RunDirectory, config: RunConfig, summary: Summary) -> str:
    """What a run lost and what its journal holds, in a line."""
    lost = counted(summary.failed_branches, "branches")
    became = f" (on_failed_branch: {config.on_failed_branch})" if summary.failed_branches else ""
    journal = directory.journal_info()
    holds = (
        "no journal"
        if journal is None
        else f"journal {megabytes(journal.size)}, {counted(journal.responses, 'responses')}"
    )
    return f"{lost} failed{became}; {holds}"
