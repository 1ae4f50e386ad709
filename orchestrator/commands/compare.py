"""Runs read and compared, cell by cell."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from orchestrator.commands.results import read_results
from orchestrator.config.run import validate
from orchestrator.errors import RunError
from orchestrator.report.compare.comparison import ComparedRun, RunComparison, compare_runs
from orchestrator.report.compare.gains import Gain, gains
from orchestrator.report.data.cells import cells_by_id
from orchestrator.storage.run_directory import CONFIG, RunDirectory


def compare_folders(
    runs: Sequence[Path], cells: Sequence[str] = ()
) -> tuple[RunComparison, list[tuple[str, Gain]]]:
    """The cells that ``cells`` names, or all, of the run directories; and each run's gains over
    CoT, where all cells are compared.

    Raises ``OrchardError`` where a run cannot be read, or there is nothing to compare.
    """
    folders = list(dict.fromkeys(path.resolve() for path in runs))
    if len(folders) < len(runs):
        raise RunError(f"{runs[0]} is named twice: name another run, or it alone")
    names = Counter(path.name for path in folders)
    named = [_read(path, path.name if names[path.name] == 1 else str(path)) for path in folders]
    found = compare_runs(named, cells)
    derived = [] if cells else [(run.name, gain) for run in named for gain in gains(run.summary)]
    return found, derived


def _read(path: Path, name: str) -> ComparedRun:
    """A run. Raises ``OrchardError`` where it cannot be read or holds nothing yet."""
    directory = RunDirectory(path)
    config = validate(directory.config(), str(path / CONFIG))
    records, summary = read_results(directory, config.headline_spec)
    return ComparedRun(
        name=name,
        summary=summary,
        cells=cells_by_id(records),
        trained=config.trained_on,
    )
