"""Which problems are easy, medium and hard for a policy, from the run's own samples."""

from collections.abc import Mapping, Sequence

from orchestrator.core.difficulty import Bin, difficulty, pass_at_1
from orchestrator.report.cells import Cell

UNGUIDED = ("majority", "best_of_n")
"""Strategies whose leaves are independent samples of the policy, no PRM having steered them."""

FEWEST_SAMPLES = 4
"""With fewer samples of a problem its pass@1 says too little."""

Bins = Mapping[str, Bin]
"""From a problem to its bin."""


def bins_by_policy(cells: Sequence[Cell]) -> dict[tuple[str, str], Bins]:
    """The bins of every (task, policy) that has unguided samples in the run.

    They come from one cell: the ``majority`` cell of the largest N, else the ``best_of_n`` one.
    That cell's own accuracy by bin is measured on the very samples that made the bins, and so
    leans a little towards them: its easy problems look easier, its hard ones harder.
    """
    found: dict[tuple[str, str], Bins] = {}
    for strategy in UNGUIDED:
        # sorted() is stable, so of equal N the cell that was listed first decides.
        candidates = [cell for cell in cells if cell.sample.strategy == strategy]
        for cell in sorted(candidates, key=lambda cell: -cell.sample.n):
            key = cell.sample.task, cell.sample.policy
            if key not in found and (bins := _bins(cell)):
                found[key] = bins
    return found


def _bins(cell: Cell) -> Bins:
    graded = {
        problem: [leaf.correct for leaf in record.leaves if leaf.correct is not None]
        for problem, record in cell.records.items()
    }
    return {
        problem: difficulty(pass_at_1(samples))
        for problem, samples in graded.items()
        if len(samples) >= FEWEST_SAMPLES
    }
