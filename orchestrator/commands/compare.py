"""``orchard compare``: runs and cells against each other."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.console.terminal import Terminal
from orchestrator.errors import RunError

if TYPE_CHECKING:
    from orchestrator.report.compare.comparison import ComparedRun


def compare(
    runs: Annotated[list[Path], typer.Argument(help="One or more run directories.")],
    cells: Annotated[
        list[str] | None,
        typer.Option(
            "--cell",
            metavar="TEXT",
            help="Only cells whose name contains TEXT (or matches it, with * and ?). Repeatable; "
            "the first is the baseline.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Compare cells within a run or across runs: which differences are more than luck?

    Uses the problems that both cells attempted, and paired 95 % intervals.
    Within a run the baseline is the policy's CoT, across runs the same cell of
    the first one.
    """
    from orchestrator.report.compare.comparison import compare_runs
    from orchestrator.report.compare.gains import gains
    from orchestrator.report.tables.comparison_table import comparison_json, comparison_table

    folders = list(dict.fromkeys(path.resolve() for path in runs))
    if len(folders) < len(runs):
        raise RunError(f"{runs[0]} is named twice: name another run, or it alone")
    names = Counter(path.name for path in folders)
    named = [_read(path, path.name if names[path.name] == 1 else str(path)) for path in folders]
    found = compare_runs(named, cells or [])
    derived = [] if cells else [(run.name, gain) for run in named for gain in gains(run.summary)]
    if as_json:
        Terminal().print_json_text(comparison_json(found, derived).decode())
    else:
        Terminal().print(comparison_table(found, derived))


def _read(path: Path, name: str) -> "ComparedRun":
    """A run. Raises ``OrchardError`` where it cannot be read or holds nothing yet."""
    from orchestrator.commands.results import read_results
    from orchestrator.config.run import validate
    from orchestrator.report.compare.comparison import ComparedRun
    from orchestrator.report.data.cells import gather
    from orchestrator.storage.run_directory import CONFIG, RunDirectory

    directory = RunDirectory(path)
    config = validate(directory.config(), str(path / CONFIG))
    records, summary = read_results(directory, config.headline_spec)
    return ComparedRun(
        name=name,
        summary=summary,
        cells={cell.id: cell for cell in gather(records)},
        trained=config.trained_on,
    )
