"""A run directory's records, and what they add up to so far."""

from pathlib import Path

from orchestrator.core.records import Record
from orchestrator.errors import RunError
from orchestrator.report.headline import HeadlineSpec
from orchestrator.report.summary import Summary, summarise
from orchestrator.runs.store import read_records


def read_results(run: Path, headline: HeadlineSpec | None) -> tuple[list[Record], Summary]:
    """Raises ``RunError`` where there is nothing to read yet, or it is damaged."""
    records = read_records(run)
    if not records:
        raise RunError(f"{run} holds no finished problem yet")
    try:
        return records, summarise(records, headline)
    except RunError:  # a run under way has not come to the headline's cells yet
        return records, summarise(records)
