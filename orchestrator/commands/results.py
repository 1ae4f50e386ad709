"""A run directory's records, and what they add up to so far."""

from dataclasses import replace

from orchestrator.core.records import Record
from orchestrator.errors import RunError
from orchestrator.report.data.headline import HeadlineSpec
from orchestrator.report.data.summary import Summary, summarise
from orchestrator.storage.run_directory import RunDirectory


def read_results(
    directory: RunDirectory, headline: HeadlineSpec | None
) -> tuple[list[Record], Summary]:
    """Raises ``RunError`` where there is nothing to read yet, or it is damaged."""
    records = directory.records()
    if not records:
        raise RunError(f"{directory.folder} holds no finished problem yet")
    try:
        summary = summarise(records, headline)
    except RunError:  # a run under way has not come to the headline's cells yet
        summary = summarise(records)
    journal = directory.journal_info()
    return records, replace(summary, probes_cost=journal.probes_paid if journal else 0.0)
