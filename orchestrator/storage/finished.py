"""Which trees of a run are finished, and what is left to run: the one definition of both."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol, TypeVar

from orchestrator.core.budget import Spend
from orchestrator.core.problem import Problem
from orchestrator.core.records import Record


class NamedPolicy(Protocol):
    @property
    def name(self) -> str: ...


class PlannedCell(Protocol):
    """A cell of a run: over the first ``problems`` (None: all), with the ``cap`` of the pool that
    these share, None where they share none."""

    @property
    def id(self) -> str: ...
    @property
    def policy(self) -> NamedPolicy: ...
    @property
    def problems(self) -> int | None: ...
    @property
    def cap(self) -> float | None: ...


C = TypeVar("C", bound=PlannedCell)
C_co = TypeVar("C_co", bound=PlannedCell, covariant=True)


class Planned(Protocol[C_co]):
    """What is to be run, as far as storage needs to know: cells over the same problems."""

    @property
    def cells(self) -> Sequence[C_co]: ...
    @property
    def problems(self) -> Sequence[Problem]: ...


class Cut(NamedTuple):
    """A pool's ``cap`` that cut a tree which had ``spent`` so much."""

    cap: float
    spent: Spend


class FinishedTrees:
    """What the records of a run add up to.

    A tree, one problem in one cell, is finished when its last record has no error, and no pool
    smaller than the cell's now cut it.
    """

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._finished: dict[str, set[str]] = defaultdict(set)
        self._cut: dict[str, dict[str, Cut]] = defaultdict(dict)
        self._reached: dict[tuple[str, str], int] = {}
        self._with_holes: dict[tuple[str, str], Spend] = {}
        self.spent = Spend()
        """What finished trees cost."""
        self.spent_in: dict[str, Spend] = defaultdict(Spend)
        """The same by cell."""
        for record in records:
            self._note(record)

    def _note(self, record: Record) -> None:
        if record.route is not None:
            self._reached[record.cell, record.problem] = len(record.leaves)
        if record.error is not None:  # what it spent is in the journal, and charged from there
            return
        spent = Spend(
            policy_tokens=record.policy_tokens,
            prompt_tokens=record.prompt_tokens,
            cached_tokens=record.cached_tokens,
            prm_tokens=record.prm_tokens,
            prm_cached_tokens=record.prm_cached_tokens,
            requests=record.requests,
            cost=record.cost,
        )
        self.spent.add(spent)
        self.spent_in[record.cell].add(spent)
        self._finished[record.cell].add(record.problem)
        if record.has_holes:
            self._with_holes[record.cell, record.problem] = spent
        if (cap := _cut_at(record)) is not None:
            self._cut[record.cell][record.problem] = Cut(cap, spent)

    def remaining(self, planned: Planned[C]) -> Iterator[tuple[C, Problem]]:
        """The trees of ``planned`` that are not finished.

        A policy at a time, and all of a problem's cells together, so that what they share is kept
        for no longer than they need it.
        """
        done = {cell.id: self.finished(cell.id, cell.cap) for cell in planned.cells}
        for policy in dict.fromkeys(cell.policy.name for cell in planned.cells):
            cells = [cell for cell in planned.cells if cell.policy.name == policy]
            for number, problem in enumerate(planned.problems):
                for cell in cells:
                    wanted = cell.problems is None or number < cell.problems
                    if wanted and problem.id not in done[cell.id]:
                        yield cell, problem

    def finished(self, cell: str, cap: float | None = None) -> set[str]:
        """The ids of a cell's finished problems; ``cap`` is its pool's now."""
        cut = set() if cap is None else self._cut_below(cell, cap)
        return self._finished[cell] - cut

    def reached(self, cell: str, problem: str) -> int:
        """How many leaves a routed problem had when it was recorded last."""
        return self._reached.get((cell, problem), 0)

    def reopen(self, cell: str, cap: float) -> None:
        """Trees that a pool smaller than ``cap`` cut go on: what they spent is in the journal, and
        charged from there."""
        for problem in self._cut_below(cell, cap):
            self._reopen(cell, problem, self._cut[cell].pop(problem).spent)

    def reopen_holes(self) -> None:
        """Try trees that lack samples, since what came was no answer, once more; only what is
        missing is asked for."""
        for (cell, problem), spent in self._with_holes.items():
            if problem in self._finished[cell]:
                self._reopen(cell, problem, spent)
        self._with_holes.clear()

    def _reopen(self, cell: str, problem: str, spent: Spend) -> None:
        self.spent.subtract(spent)
        self.spent_in[cell].subtract(spent)
        self._finished[cell].discard(problem)

    def _cut_below(self, cell: str, cap: float) -> set[str]:
        return {problem for problem, cut in self._cut[cell].items() if cut.cap < cap}


def _cut_at(record: Record) -> float | None:
    """The cap of the pool that cut a tree, where one did."""
    if not record.is_cut:
        return None
    cap = record.settings["budget"]
    assert isinstance(cap, int | float)
    return cap
