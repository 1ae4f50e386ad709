"""A run directory's records, and what they add up to so far."""

from dataclasses import replace
from pathlib import Path

from orchestrator.core.records import Record
from orchestrator.errors import RunError
from orchestrator.report.data.headline import HeadlineSpec
from orchestrator.report.data.summary import Summary, summarise
from orchestrator.storage.journal import JOURNAL, kept_by
from orchestrator.storage.store import read_records


def read_results(run: Path, headline: HeadlineSpec | None) -> tuple[list[Record], Summary]:
    """Raises ``RunError`` where there is nothing to read yet, or it is damaged."""
    records = read_records(run)
    if not records:
        raise RunError(f"{run} holds no finished problem yet")
    try:
        summary = summarise(records, headline)
    except RunError:  # a run under way has not come to the headline's cells yet
        summary = summarise(records)
    kept = kept_by(run / JOURNAL)
    return records, replace(summary, probes_cost=kept.probes_paid if kept else 0.0)
