"""Which problems are easy, medium and hard for a policy, by the run's own samples."""

from collections.abc import Mapping, Sequence

from orchestrator.core.difficulty import (
    SAMPLING,
    Bin,
    difficulty,
    independent_draws,
    independent_samples,
    pass_at_1,
)
from orchestrator.report.data.cells import CellRecords

FEWEST_SAMPLES = 4
"""With fewer independent samples than this, a problem's bin is unknown."""

UNKNOWN = "unknown"
"""The bin of problems without one."""

Bins = Mapping[str, Bin]
"""Maps problems to their bins, where known."""


def bins_by_policy(cells: Sequence[CellRecords]) -> dict[tuple[str, str], Bins]:
    """The bins of every (task, policy) that is sampled in the run.

    Only independent samples count (``core.difficulty``), none that are guided, greedy or stopped
    early. They come from one cell per problem, the first with enough: ``majority`` before
    ``best_of_n``, the largest N first, cells that may stop early last. That cell's own accuracy by
    bin is biased: it is measured on the samples that made the bins, so its easy problems look
    easier and its hard ones harder.
    """
    found: dict[tuple[str, str], dict[str, Bin]] = {}
    # sorted() is stable, so of equal N the cell that was listed first decides
    for cell in sorted(filter(_is_sampled, cells), key=_order):
        bins = found.setdefault((cell.sample.task, cell.sample.policy), {})
        for problem, record in cell.records.items():
            graded = [leaf.correct for leaf in independent_samples(record)]
            known = [correct for correct in graded if correct is not None]
            if len(known) >= FEWEST_SAMPLES:
                bins.setdefault(problem, difficulty(pass_at_1(known)))
    return dict(found)


def _is_sampled(cell: CellRecords) -> bool:
    return independent_draws(cell.sample) > 1


def _order(cell: CellRecords) -> tuple[bool, int, int]:
    record = cell.sample
    return record.settings.get("stop") is not None, SAMPLING.index(record.strategy), -record.n
