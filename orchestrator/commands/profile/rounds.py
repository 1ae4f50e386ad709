"""What to measure next for profiles: everything, or what a token cap allows.

Within a cap, first the samples, then successive halving over the tree searches: each round drops
the searches far below every bin's accuracy/token front and runs the others on more problems.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

from orchestrator.commands.profile.sweeps import Sweep
from orchestrator.core.equivalence import SameByProblem, comparing
from orchestrator.core.records import Record
from orchestrator.core.task import Task
from orchestrator.errors import ProfileError
from orchestrator.optimal.profiling.fitting import FEWEST, FEWEST_TRIED, PILOTS
from orchestrator.optimal.profiling.halving import reach, shortfalls, survivors
from orchestrator.optimal.profiling.measuring import measure, sort_out
from orchestrator.optimal.profiling.table import tabulate, true_bins
from orchestrator.optimal.profiling.trials import trials
from orchestrator.runs.plan import Cell, Plan

ROUNDS = 3
"""Rounds of halving after the first, which measures what each search uses."""

FIRST = 16
"""Problems whose samples give an estimate of what all samples will use."""

GUESS = 1.5
"""Assumed use of a search that is not measured yet, as a multiple of ``n`` greedy solutions."""

MARGIN = 0.9
"""The part of the remaining tokens to plan for. The rest is slack: problems differ in what they
use, and trees in flight reserve more than they use in the end."""

Done = dict[tuple[str, str], Record]
"""Finished problems, by cell and problem."""


def finished(records: Iterable[Record]) -> Done:
    return {(each.cell, each.problem): each for each in records if each.error is None}


def tokens(record: Record) -> int:
    """Tokens of policy and PRM; samples that the cell shares with others count in full."""
    return record.policy_tokens + record.prm_tokens


@dataclass(slots=True)
class Rounds:
    """Splits the ``whole`` plan into rounds. Every decision depends on the records alone, so a
    resumed profile measures the same as one that was never stopped.

    Raises ``ProfileError`` if there are too few problems or the cap is too small to begin.
    """

    whole: Plan
    sweeps: Sequence[Sweep]
    cap: int | None = None
    candidates: list[str] = field(default_factory=list)
    """Cells of the tree searches that no round has dropped."""
    _reached: dict[str, int] = field(default_factory=dict)
    _round: int = 0

    def __post_init__(self) -> None:
        count = len(self.whole.problems)
        if count < FEWEST:
            raise ProfileError(
                f"{count} problems are too few for a profile that holds for others: {FEWEST} are "
                "the least, some hundreds are better (task.problems)"
            )
        least = count * sum(each.samples.strategy.n + 1 for each in self.sweeps)
        if self.cap is not None and self.cap < least:
            raise ProfileError(
                f"a cap of {self.cap:,} tokens is less than the samples alone take, which are "
                f"{least:,} of at least one: raise it, or lower task.problems or n"
            )
        self.candidates = [cell.id for each in self.sweeps for cell in each.trees]
        self._reached = dict.fromkeys(self.candidates, 0)

    async def next(self, done: Done, task: Task) -> Plan | None:
        """The next plan to run, with at least one tree that is not ``done``; None if all are.

        Raises ``ProfileError`` if the first samples predict that all of them exceed the cap.
        """
        drawn = [cell for each in self.sweeps for cell in (each.greedy, each.samples)]
        trees = [cell for each in self.sweeps for cell in each.trees]
        everyone = len(self.whole.problems)
        if self.cap is None:
            return self._open([*drawn, *trees], everyone, done)
        if first := self._open(drawn, FIRST, done):
            return first
        self._check_samples(drawn, done)
        if rest := self._open(drawn, everyone, done):
            return rest
        while self.candidates:
            candidates = [cell for cell in trees if cell.id in self.candidates]
            if unfinished := self._open(candidates, self._reached[self.candidates[0]], done):
                return unfinished
            if self._round > ROUNDS or not await self._begin_round(done, task):
                return None
        return None

    def _open(self, cells: Sequence[Cell], problems: int, done: Done) -> Plan | None:
        """A plan of ``cells`` on the first ``problems``; None if all of these are done."""
        first = self.whole.problems[:problems]
        if all((cell.id, problem.id) in done for cell in cells for problem in first):
            return None
        return replace(self.whole, cells=[replace(cell, problems=problems) for cell in cells])

    def _check_samples(self, drawn: Sequence[Cell], done: Done) -> None:
        assert self.cap is not None
        problems = self.whole.problems
        first = problems[:FIRST]
        spent = sum(tokens(done[cell.id, problem.id]) for cell in drawn for problem in first)
        expected = spent / len(first) * len(problems)
        if expected > self.cap:
            raise ProfileError(
                f"the samples alone take about {expected:,.0f} tokens, more than the cap of "
                f"{self.cap:,}: raise it, or lower task.problems or n; what was paid for the first "
                f"{len(first)} problems is kept"
            )

    async def _begin_round(self, done: Done, task: Task) -> bool:
        """Choose the searches of the next round and its number of problems; False if there is no
        further problem to run."""
        known = self._known(done)
        if self._round > 1:
            same = comparing(task, self.whole.problems)
            best = [await self._survivors(each, known, same) for each in self.sweeps]
            self.candidates = [cell for cells in best for cell in cells]
        reached, everyone = self._reached[self.candidates[0]], len(self.whole.problems)
        assert self.cap is not None
        affordable = MARGIN * (self.cap - sum(map(tokens, known.values())))
        per_problem = self._tokens_per_problem(known)
        if not self._round:
            target = FEWEST_TRIED
            if target * per_problem > affordable:
                self.candidates = []
                return False
        else:
            rounds = ROUNDS + 1 - self._round
            target = reach(reached, everyone, affordable, per_problem, rounds)
        self._round += 1
        self._reached |= dict.fromkeys(self.candidates, target)
        return target > reached

    def _known(self, done: Done) -> Done:
        """The records of the rounds so far. ``done`` may hold more, of a session that was stopped
        in a later round."""
        number = {problem.id: i for i, problem in enumerate(self.whole.problems)}
        return {
            (cell, problem): record
            for (cell, problem), record in done.items()
            if number.get(problem, len(number)) < self._reached.get(cell, len(number))
        }

    def _tokens_per_problem(self, known: Done) -> float:
        """Tokens that all remaining searches together use per problem."""
        found = 0.0
        for sweep in self.sweeps:
            greedy = fmean(
                tokens(known[sweep.greedy.id, problem.id]) for problem in self.whole.problems
            )
            for tree in sweep.trees:
                if tree.id in self.candidates:
                    own = [tokens(each) for (cell, _), each in known.items() if cell == tree.id]
                    found += fmean(own) if own else GUESS * tree.strategy.n * greedy
        return found

    async def _survivors(self, sweep: Sweep, known: Done, same: SameByProblem) -> list[str]:
        candidates = [cell.id for cell in sweep.trees if cell.id in self.candidates]
        if len(candidates) < 2:
            return candidates
        own = {cell.id for cell in sweep.cells}
        records = [record for (cell, _), record in known.items() if cell in own]
        cells = sort_out(records)
        # Judged alone: as a fallback, after samples that are nearly sure, any search looks good.
        arms = [(arm, cell) for arm, cell in cells.arms(PILOTS) if not arm.has_fallback]
        measured = await measure(records, cells, same)
        found = trials(measured, arms, PILOTS, with_trajectories=False)
        table = tabulate(found, true_bins(found))
        short = shortfalls(table.right.tolist(), table.errors.tolist(), table.tokens.tolist())
        nearest = {
            name: min(each for (_, cell), each in zip(arms, short, strict=True) if cell == name)
            for name in candidates
        }
        return survivors(nearest)
