"""Many trees at once: every problem of every cell, so many trees in flight, none waiting on
another."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from orchestrator.core.budget import Ledger
from orchestrator.core.fanout import fan_out
from orchestrator.core.ports import PRM, Policy
from orchestrator.core.problem import Problem
from orchestrator.core.records import Record
from orchestrator.errors import EndpointUnavailable
from orchestrator.runs.plan import Cell, Plan, Ports
from orchestrator.runs.runner import solve
from orchestrator.runs.sharing import SharedPolicy, SharedPRM
from orchestrator.runs.store import Store

FAILURES_IN_A_ROW = 8
"""After so many trees in a row lost their endpoint, the run stops: what is left would fail too."""


def unfinished(plan: Plan, store: Store) -> Iterator[tuple[Cell, Problem]]:
    """What is to be run yet: cell by cell, so that requests of one kind batch well."""
    for cell in plan.cells:
        done = store.finished(cell.id)
        for problem in plan.problems:
            if problem.id not in done:
                yield cell, problem


@dataclass(slots=True)
class Progress:
    """How far a run is; the command line shows it while it changes.

    ``already`` of ``total`` problems were finished before. ``work`` weighs each problem to be run
    by its strategy's n, ``work_done`` those that are done.
    """

    total: int
    already: int
    work: int
    work_done: int = 0
    finished: int = 0
    in_flight: int = 0
    cell: str = ""
    ledger: Ledger = field(default_factory=Ledger)


@dataclass(slots=True)
class Scheduler:
    """Runs a plan into a store. ``on_record`` is told of every finished problem."""

    plan: Plan
    ports: Ports
    store: Store
    progress: Progress = field(init=False)
    on_record: Callable[[Record], None] | None = None
    _failures: int = 0

    def __post_init__(self) -> None:
        total = len(self.plan.cells) * len(self.plan.problems)
        weights = [cell.strategy.n for cell, _ in unfinished(self.plan, self.store)]
        self.progress = Progress(total, already=total - len(weights), work=sum(weights))
        self.progress.ledger.limits = self.plan.limits

    async def run(self) -> None:
        """Run what is open. Raises ``EndpointRefused`` at once and ``EndpointUnavailable`` when
        trees keep losing their endpoint; all finished problems are stored by then."""
        policies = {
            name: SharedPolicy(policy, self._most_samples(name))
            for name, policy in self.ports.policies.items()
        }
        prms = {name: SharedPRM(prm) for name, prm in self.ports.prms.items()}
        work = unfinished(self.plan, self.store)

        async def worker() -> None:
            for cell, problem in work:
                prm = prms[cell.prm.name] if cell.prm else None
                await self._one(cell, problem, policies[cell.policy.name], prm)

        await fan_out(worker() for _ in range(self.plan.trees))

    def _most_samples(self, policy: str) -> int:
        return max(
            (
                cell.strategy.n
                for cell in self.plan.cells
                if cell.policy.name == policy and cell.strategy_name in ("majority", "best_of_n")
            ),
            default=1,
        )

    async def _one(self, cell: Cell, problem: Problem, policy: Policy, prm: PRM | None) -> None:
        progress = self.progress
        progress.in_flight += 1
        progress.cell = cell.id
        try:
            record = await solve(
                problem,
                cell,
                self.ports,
                policy=policy,
                prm=prm,
                ledger=progress.ledger,
                limits=self.plan.problem_limits,
                seed=self.plan.seed,
            )
        finally:
            progress.in_flight -= 1
        self.store.add(record)
        progress.finished += 1
        progress.work_done += cell.strategy.n
        self._failures = self._failures + 1 if record.error else 0
        if record.error and self._failures >= FAILURES_IN_A_ROW:
            raise EndpointUnavailable(
                f"{self._failures} trees in a row lost their endpoint; the last: {record.error}",
                url="",
            )
        if self.on_record is not None:
            self.on_record(record)
