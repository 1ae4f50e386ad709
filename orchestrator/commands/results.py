"""A run directory's records, and what they add up to so far."""

from collections.abc import Sequence
from dataclasses import replace

from orchestrator.core.records import Record
from orchestrator.errors import RunError
from orchestrator.report.data.cells import cells_by_id
from orchestrator.report.data.headline import HeadlineSpec
from orchestrator.report.data.summary import Summary, summarise, to_json
from orchestrator.report.data.votes import votes_json
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


def results_json(records: Sequence[Record], summary: Summary) -> bytes:
    """``summary.json``: the summary of ``records``, and their votes against each other."""
    return to_json(summary, votes=votes_json(summary, cells_by_id(records)))
