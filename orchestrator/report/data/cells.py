"""Group records into cells, sorted as tables show them."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from orchestrator.core.records import Record
from orchestrator.core.voting import VOTES
from orchestrator.strategies import STRATEGIES

BASELINE = "cot"
"""The strategy that searches are compared to: the policy's greedy answer."""

MOST_NAMED = 8
"""How many cells a message lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellRecords:
    """The records of one cell by problem, never empty.

    A cell is one strategy with its settings, under one policy and PRM on one task.
    """

    id: str
    records: Mapping[str, Record]

    @property
    def sample(self) -> Record:
        """Any record: all agree on the fields that describe the cell.

        Only the cap of a pool may have been raised between sessions: then the one with the largest.
        """
        return max(self.records.values(), key=_cap)

    @property
    def votes(self) -> list[str]:
        """The votes taken on all of its problems but those that failed: what a later version of
        Orchard counts beside them would have the earlier problems wrong."""
        taken = [record.verdicts.keys() for record in self.records.values() if record.verdicts]
        return sorted(set.intersection(*map(set, taken)) if taken else (), key=vote_order)

    def correct(self, vote: str) -> dict[str, bool]:
        """Whether each problem was answered right.

        A problem without a verdict failed and counts as wrong, as does an answer that the task
        could not decide on (``undecided`` counts those).
        """
        return {
            problem: vote in record.verdicts and bool(record.verdicts[vote].correct)
            for problem, record in self.records.items()
        }

    def sound(self, vote: str) -> dict[str, bool] | None:
        """Whether each problem's whole chain of steps is right; None unless known for all.

        A wrong answer has a wrong chain.
        """
        verdicts = {problem: record.verdicts.get(vote) for problem, record in self.records.items()}
        given = [verdict for verdict in verdicts.values() if verdict is not None]
        if all(verdict.sound is None for verdict in given):
            return None
        if any(verdict.correct and verdict.sound is None for verdict in given):
            return None
        return {problem: bool(verdict and verdict.sound) for problem, verdict in verdicts.items()}

    def __str__(self) -> str:
        first = self.sample
        under = f" under {first.prm}" if first.prm else ""
        return f"{first.policy} {first.strategy} N = {first.n}{under} on {first.task}"


def _cap(record: Record) -> float:
    cap = record.settings.get("budget")
    return cap if isinstance(cap, int | float) else 0.0


def gather(records: Iterable[Record]) -> list[CellRecords]:
    """The cells of ``records``, sorted. Of two records of one problem the later one counts."""
    found: dict[str, dict[str, Record]] = {}
    for record in records:
        found.setdefault(record.cell, {})[record.problem] = record
    cells = [CellRecords(id=id, records=by_problem) for id, by_problem in found.items()]
    return sorted(cells, key=_cell_order)


def cells_by_id(records: Iterable[Record]) -> dict[str, CellRecords]:
    return {cell.id: cell for cell in gather(records)}


def matches(cell: str, text: str) -> bool:
    """Whether a cell's name contains ``text``, or matches it with * and ?."""
    return text in cell or fnmatchcase(cell, f"*{text}*")


def listed(cells: Collection[str]) -> str:
    """Names of cells for a message, the first of many."""
    more = f" and {len(cells) - MOST_NAMED} more" if len(cells) > MOST_NAMED else ""
    return "; ".join(list(cells)[:MOST_NAMED]) + more


def strategy_order(strategy: str) -> tuple[int, str]:
    """Sorts like ``STRATEGIES``, the simplest first; others follow by name."""
    known = list(STRATEGIES)
    return known.index(strategy) if strategy in known else len(known), strategy


def vote_order(vote: str) -> tuple[int, str]:
    return list(VOTES).index(vote) if vote in VOTES else len(VOTES), vote


def size_order(params: int | None, name: str) -> tuple[bool, int, str]:
    """Sorts policies from small to large, those of unknown size last."""
    return params is None, params or 0, name


def _cell_order(cell: CellRecords) -> tuple[object, ...]:
    first = cell.sample
    return (
        first.task,
        size_order(first.policy_params, first.policy),
        first.prm or "",
        strategy_order(first.strategy),
        first.n,
        cell.id,
    )
