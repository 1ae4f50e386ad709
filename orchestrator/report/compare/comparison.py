"""Compare cells, within a run or across runs, over the problems that both attempted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from orchestrator.core.compute import TotalFlops
from orchestrator.errors import RunError
from orchestrator.report.data.cells import BASELINE, CellRecords, listed, matches
from orchestrator.report.data.ledger import total_flops
from orchestrator.report.data.paired import Finding, Paired, paired
from orchestrator.report.data.shown import shown_rows
from orchestrator.report.data.summary import Summary, SummaryRow

FEWEST_WINS = 6
"""The fewest wins without a loss that pass the exact sign test at 5 %."""

VOTE_AFTER = "@"
"""Stands between a cell and its vote where both are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedRun:
    """A run, and its ``name`` in the comparison.

    ``trained`` maps policies to their pre-training tokens, where known.
    """

    name: str
    summary: Summary
    cells: Mapping[str, CellRecords]
    trained: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A cell of a run, under one vote."""

    run: str
    row: SummaryRow
    cell: CellRecords
    total: TotalFlops | None

    @property
    def kind(self) -> tuple[str, str, str | None, str, int, str]:
        """Equal for cells of different runs that use the same method."""
        row = self.row
        return row.task, row.policy, row.prm, row.strategy, row.n, row.vote


@dataclass(frozen=True, slots=True, kw_only=True)
class CellComparison:
    """A ``side`` against its ``base``, over the problems that both attempted.

    ``visible`` estimates the smallest difference that this many problems could have shown.
    """

    side: Side
    base: Side
    found: Paired

    @property
    def verdict(self) -> Finding:
        return self.found.verdict

    @property
    def visible(self) -> float:
        found = self.found
        return max((found.ci_high - found.ci_low) / 2, min(1.0, FEWEST_WINS / found.problems))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunComparison:
    """Every side in order, and a comparison for each that has a base."""

    sides: tuple[Side, ...]
    differences: tuple[CellComparison, ...]


def compare_runs(runs: Sequence[ComparedRun], wanted: Sequence[str] = ()) -> RunComparison:
    """Compare the cells whose name contains one of ``wanted`` (or matches it, with * and ?), in
    the order of ``wanted``; by default all cells. ``NAME@VOTE`` takes these cells under the vote of
    this name (or the votes that match it) instead of the one that tables show.

    A cell of a later run is compared to the same cell of the first run. Other cells are compared to
    the first of ``wanted``, by default to their policy's CoT (across models to that of the
    largest), or else to the task's first cell.

    Raises ``RunError`` if runs have no problems in common, or fewer than two cells match.
    """
    _check_common(runs)
    sides = _sides(runs, wanted)
    found = []
    for side in sides:
        base = _base(side, sides, runs[0].name, bool(wanted))
        if base is None:
            continue
        pair = paired(side.cell.correct(side.row.vote), base.cell.correct(base.row.vote))
        if pair is not None:
            found.append(CellComparison(side=side, base=base, found=pair))
    if not found:
        raise RunError(
            f"{sides[0].cell.id} is the only cell to compare: name another run, or fewer --cell"
        )
    return RunComparison(sides=tuple(sides), differences=tuple(found))


def _check_common(runs: Sequence[ComparedRun]) -> None:
    first = runs[0]
    for other in runs[1:]:
        tasks = [sorted({row.task for row in run.summary.rows}) for run in (first, other)]
        if not set(tasks[0]) & set(tasks[1]):
            raise RunError(
                f"{first.name} is of {', '.join(tasks[0])} and {other.name} of "
                f"{', '.join(tasks[1])}: runs are compared on the same task"
            )
        if not _problems(first) & _problems(other):
            raise RunError(
                f"{first.name} and {other.name} have no problem in common: runs are compared on "
                "the same problems (the same `task.seed`, or part of the set)"
            )


def _problems(run: ComparedRun) -> set[tuple[str, str]]:
    return {(cell.sample.task, problem) for cell in run.cells.values() for problem in cell.records}


def _sides(runs: Sequence[ComparedRun], wanted: Sequence[str]) -> list[Side]:
    shown = [_side(run, row) for run in runs for row in shown_rows(run.summary)]
    if not wanted:
        return shown
    every = [_side(run, row) for run in runs for row in run.summary.rows]
    chosen = [side for text in wanted for side in _named(text, shown, every)]
    return list({(side.run, side.cell.id, side.row.vote): side for side in chosen}.values())


def _side(run: ComparedRun, row: SummaryRow) -> Side:
    return Side(
        run=run.name, row=row, cell=run.cells[row.cell], total=total_flops(row, run.trained)
    )


def _named(text: str, shown: Sequence[Side], every: Sequence[Side]) -> list[Side]:
    """The sides that ``CELL`` or ``CELL@VOTE`` names. Raises ``RunError`` if there is none."""
    cell, at, vote = text.partition(VOTE_AFTER)
    found = [side for side in (every if at else shown) if matches(side.cell.id, cell)]
    if not found:
        raise RunError(
            f"no cell has {cell!r} in its name; there are: "
            f"{listed(dict.fromkeys(side.cell.id for side in shown))}"
        )
    if not at:
        return found
    voted = [side for side in found if fnmatchcase(side.row.vote, vote)]
    if not voted:
        raise RunError(
            f"no cell with {cell!r} in its name counted the vote {vote!r}; they counted: "
            f"{', '.join(dict.fromkeys(side.row.vote for side in found))}"
        )
    return voted


def _base(side: Side, sides: Sequence[Side], first: str, is_chosen: bool) -> Side | None:
    others = [other for other in sides if other.row.task == side.row.task and other is not side]
    if side.run != first:
        theirs = [other for other in others if other.run == first and other.kind == side.kind]
        same = [other for other in theirs if other.cell.id == side.cell.id]
        if same or len(theirs) == 1:
            return (same or theirs)[0]
    on_task = [other for other in sides if other.row.task == side.row.task]
    if is_chosen:
        return on_task[0] if on_task[0] is not side else None
    if side.row.strategy != BASELINE:
        own = side.row.models or (side.row.policy,)
        greedy = [each for each in others if each.row.strategy == BASELINE]
        theirs = [each for each in greedy if each.row.policy in own]
        if theirs:
            return max(theirs, key=lambda each: each.row.policy_params or 0)
    return on_task[0] if on_task[0] is not side else None
