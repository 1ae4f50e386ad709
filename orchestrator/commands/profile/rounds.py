"""What to measure next for profiles: everything, or what a token cap allows.

Within a cap it is the samples, then successive halving over the tree searches: each round runs
those still in it on a larger part of the problems, and drops what is far from every bin's
accuracy/token front.
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
"""Of halving, after the searches' first problems have told what they take."""

FIRST = 16
"""Problems whose samples tell what all of them would take."""

GUESS = 1.5
"""What a tree search takes, as a multiple of as many scored solutions: until it is measured."""

MARGIN = 0.9
"""The part of what is left that is planned for: problems differ in what they take, and trees in
flight set aside more than they take in the end."""

Done = dict[tuple[str, str], Record]
"""Finished problems, by cell and problem."""


def finished(records: Iterable[Record]) -> Done:
    return {(each.cell, each.problem): each for each in records if each.error is None}


def tokens(record: Record) -> int:
    """Of policy and PRM, as if its cell had run alone."""
    return record.policy_tokens + record.prm_tokens


@dataclass(slots=True)
class Rounds:
    """The parts of the ``whole`` plan, one after the other. What is decided follows from the
    records alone: a profile that was stopped goes on as it would have.

    Raises ``ProfileError`` where the problems or the cap are too few to begin with.
    """

    whole: Plan
    sweeps: Sequence[Sweep]
    cap: int | None = None
    alive: list[str] = field(default_factory=list)
    """The searches that are still measured, by cell."""
    _reached: dict[str, int] = field(default_factory=dict)
    _round: int = 0

    def __post_init__(self) -> None:
        few = len(self.whole.problems)
        if few < FEWEST:
            raise ProfileError(
                f"{few} problems are too few for a profile that holds for others: {FEWEST} are the "
                "least, some hundreds are better (task.problems)"
            )
        least = few * sum(each.samples.strategy.n + 1 for each in self.sweeps)
        if self.cap is not None and self.cap < least:
            raise ProfileError(
                f"a cap of {self.cap:,} tokens is less than the samples alone take, which are "
                f"{least:,} of at least one: raise it, or lower task.problems or n"
            )
        self.alive = [cell.id for each in self.sweeps for cell in each.trees]
        self._reached = dict.fromkeys(self.alive, 0)

    async def next(self, done: Done, task: Task) -> Plan | None:
        """What to run now, of which some is not ``done``; None where everything is.

        Raises ``ProfileError`` where the first samples show that all would pass the cap.
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
        while self.alive:
            alive = [cell for cell in trees if cell.id in self.alive]
            if unfinished := self._open(alive, self._reached[self.alive[0]], done):
                return unfinished
            if self._round > ROUNDS or not await self._begin_round(done, task):
                return None
        return None

    def _open(self, cells: Sequence[Cell], problems: int, done: Done) -> Plan | None:
        """These cells on the first problems; None where they have finished them."""
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
        """Decide which searches go on, and on how many problems; False where on none more."""
        known = self._known(done)
        if self._round > 1:
            same = comparing(task, self.whole.problems)
            left = [await self._survivors(each, known, same) for each in self.sweeps]
            self.alive = [cell for cells in left for cell in cells]
        reached, everyone = self._reached[self.alive[0]], len(self.whole.problems)
        assert self.cap is not None
        affordable = MARGIN * (self.cap - sum(map(tokens, known.values())))
        each_problem = self._tokens_a_problem(known)
        if not self._round:
            goes_to = FEWEST_TRIED
            if goes_to * each_problem > affordable:
                self.alive = []
                return False
        else:
            rounds = ROUNDS + 1 - self._round
            goes_to = reach(reached, everyone, affordable, each_problem, rounds)
        self._round += 1
        self._reached |= dict.fromkeys(self.alive, goes_to)
        return goes_to > reached

    def _known(self, done: Done) -> Done:
        """What was done before this round: another start may have come further."""
        number = {problem.id: i for i, problem in enumerate(self.whole.problems)}
        return {
            (cell, problem): record
            for (cell, problem), record in done.items()
            if number.get(problem, len(number)) < self._reached.get(cell, len(number))
        }

    def _tokens_a_problem(self, known: Done) -> float:
        """Of all searches that are still measured."""
        found = 0.0
        for sweep in self.sweeps:
            greedy = fmean(
                tokens(known[sweep.greedy.id, problem.id]) for problem in self.whole.problems
            )
            for tree in sweep.trees:
                if tree.id in self.alive:
                    own = [tokens(each) for (cell, _), each in known.items() if cell == tree.id]
                    found += fmean(own) if own else GUESS * tree.strategy.n * greedy
        return found

    async def _survivors(self, sweep: Sweep, known: Done, same: SameByProblem) -> list[str]:
        alive = [cell.id for cell in sweep.trees if cell.id in self.alive]
        if len(alive) < 2:
            return alive
        own = {cell.id for cell in sweep.cells}
        records = [record for (cell, _), record in known.items() if cell in own]
        cells = sort_out(records)
        # by itself: after samples that are nearly sure any search would seem near to the front
        arms = [(arm, cell) for arm, cell in cells.arms(PILOTS) if not arm.is_followed]
        found = trials(await measure(records, cells, same), arms, PILOTS)
        table = tabulate(found, true_bins(found))
        short = shortfalls(table.right.tolist(), table.errors.tolist(), table.tokens.tolist())
        nearest = {
            name: min(each for (_, cell), each in zip(arms, short, strict=True) if cell == name)
            for name in alive
        }
        return survivors(nearest)
