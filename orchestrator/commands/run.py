"""A config carried out in a run directory: what it came to, and how it goes on."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from orchestrator.commands.results import read_results, results_json
from orchestrator.commands.run_state import remaining, to_go, unfinished
from orchestrator.commands.session import carry_out, farewell, resumable, stoppable, until_later
from orchestrator.config.run import RunConfig
from orchestrator.console.terminal import Terminal
from orchestrator.core.records import Record
from orchestrator.errors import BudgetExhausted, RateLimited
from orchestrator.report.data.summary import Summary
from orchestrator.report.figures.draw import draw
from orchestrator.storage.run_directory import SUMMARY, RunDirectory
from orchestrator.wiring.claim import claim
from orchestrator.wiring.experiment import Experiment


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What a run directory holds after a start: ``records`` and their ``summary``, None as long as
    no problem is finished. So many problems of its cells are ``remaining``; ``ended_by`` is what
    ended it early, if anything."""

    experiment: Experiment
    records: Sequence[Record]
    summary: Summary | None
    remaining: int
    ended_by: BudgetExhausted | RateLimited | None = None


def run_config(
    config: RunConfig, directory: RunDirectory, console: Terminal, goes_on: str
) -> RunResult:
    """Run what the directory does not hold yet, and write its summary. A person who stops it ends
    the process, and reads ``goes_on``, the command that goes on with it.

    Raises ``OrchardError``; what is paid for by then is kept.
    """
    experiment = Experiment.of(config)
    said = partial(farewell, directory.folder, goes_on)
    ended_by: BudgetExhausted | RateLimited | None = None
    records: Sequence[Record] = ()
    summary = None
    with directory:
        try:
            with resumable(directory, console, goes_on), stoppable(said), directory.journaled():
                claim(directory, experiment)
                try:
                    carry_out(experiment, experiment.plan, directory, console, said)
                except RateLimited as limited:
                    ended_by = limited
        except BudgetExhausted as exhausted:
            ended_by = exhausted
        left = remaining(directory, experiment)
        if not directory.store.is_empty:
            records, summary = read_results(directory, experiment.headline)
            directory.write(SUMMARY, results_json(records, summary))
    return RunResult(
        experiment=experiment,
        records=records,
        summary=summary,
        remaining=left,
        ended_by=ended_by,
    )


def how_it_goes_on(result: RunResult, directory: RunDirectory, goes_on: str) -> str | None:
    """What ended the run early and the command that goes on with it; None where it is done."""
    match result.ended_by:
        case None:
            return unfinished(directory, result.experiment)
        case BudgetExhausted(limit=limit) as exhausted:
            return (
                f"Stopped early: {exhausted}, {to_go(result.remaining)}; with a larger one this "
                f"goes on:\n  {directory.resume_command} --set budget.{limit}=…"
            )
        case limited:
            return until_later(limited, goes_on, to_go(result.remaining))


def draw_figures(result: RunResult, folder: Path, console: Terminal) -> list[Path]:
    """The run's figures that a person looks at; the results are there without them too."""
    if result.summary is None:
        return []
    try:
        drawn = draw(result.summary, result.records, folder)
    except OSError as error:
        console.print(f"No figures: cannot write {folder}: {error.strerror}")
        return []
    return [figure for figure in drawn if figure.suffix == ".png"]
