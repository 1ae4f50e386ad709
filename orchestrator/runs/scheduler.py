"""Many trees at once: every problem of every cell, so many trees in flight, none waiting on
another."""

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from orchestrator.core.budget import Bill, Ledger, Spend
from orchestrator.core.fanout import feed
from orchestrator.core.node import Tree, root
from orchestrator.core.ports import Models
from orchestrator.core.problem import Problem
from orchestrator.core.records import BAD_ANSWERS, ENDPOINT, RATE_LIMIT, Record
from orchestrator.errors import BudgetExhausted, EndpointUnavailable, RateLimited
from orchestrator.optimal.routing.routed import Routing
from orchestrator.runs.collection import rare_collections
from orchestrator.runs.endings import STOPPED
from orchestrator.runs.grading import grade
from orchestrator.runs.plan import Cell, Plan, Ports
from orchestrator.runs.ports.replay import Remembering
from orchestrator.runs.ports.sharing import Demand
from orchestrator.runs.ports.stack import RunWide, Terms, stack, stack_prm
from orchestrator.runs.search import Outcome, Place, Unscored, search, use
from orchestrator.storage.journal import Journal
from orchestrator.storage.store import Store

FAILURES_IN_A_ROW = 8
"""After so many trees in a row lost their endpoint, the run stops: what is left would fail too."""


@dataclass(frozen=True, slots=True)
class PoolProgress:
    """How far a pool is used up; ``before`` of it was when this session began."""

    routing: Routing
    before: float

    @property
    def used(self) -> float:
        """From 0 to 1."""
        return self.routing.share or 0.0

    @property
    def newly_used(self) -> float:
        """Of what was left then, from 0 to 1."""
        return (self.used - self.before) / (1.0 - self.before) if self.before < 1.0 else 1.0


@dataclass(slots=True)
class Progress:
    """How far a run is; the command line shows it while it changes.

    ``already`` of ``total`` problems were finished before. ``work`` weighs each problem to be run
    by its cell's weight, ``work_done`` those that are done; ``pools`` are the shared caps.
    ``spent`` is what this session really sent, what several strategies share counted once, and
    ``replayed`` what the journal remembered instead; the ledger charges each strategy for all it
    uses, those of earlier sessions too.
    """

    total: int
    already: int
    work: int
    work_done: int = 0
    finished: int = 0
    in_flight: int = 0
    cell: str = ""
    spent: Spend = field(default_factory=Spend)
    replayed: Spend = field(default_factory=Spend)
    ledger: Ledger = field(default_factory=Ledger)
    bill: Bill = field(default_factory=Bill)
    pools: list[PoolProgress] = field(default_factory=list)

    @property
    def share(self) -> float:
        """Of this session's work, how much is done, from 0 to 1. The problems of a pool end all
        together, when it is used up or earlier."""
        by_problems = self.work_done / self.work if self.work else 0.0
        return max(by_problems, min((pool.newly_used for pool in self.pools), default=0.0))


@dataclass(slots=True)
class Scheduler:
    """Runs a plan into a store. ``on_record`` is told of every finished problem.

    With a ``journal``, what earlier processes paid for is not asked for again.
    """

    plan: Plan
    ports: Ports
    store: Store
    journal: Journal | None = None
    progress: Progress = field(init=False)
    on_record: Callable[[Record], None] | None = None
    _failures: int = 0
    _begun: int = 0
    _deadline: float = math.inf
    _budget_used_up: tuple[str, float] | None = None
    _rate_limit: str | None = None
    _left: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        for cell in self.plan.cells:
            if cell.cap is not None:
                self.store.reopen(cell.id, cell.cap)
        total = sum(len(self.plan.problems[: cell.problems]) for cell in self.plan.cells)
        weights = [cell.weight for cell, _ in self.store.remaining(self.plan)]
        self.progress = Progress(total, already=total - len(weights), work=sum(weights))
        self.progress.ledger.spent = replace(self.store.spent)
        self.progress.bill = self.ports.bill
        # the bill keeps the limit of the cost: it counts what several strategies share once
        self.progress.ledger.limits = replace(self.plan.limits, cost=None)
        self._left = Counter(
            (cell.policy.name, problem.id) for cell, problem in self.store.remaining(self.plan)
        )

    async def run(self) -> None:
        """Run what is open.

        Raises ``EndpointRefused`` at once, ``EndpointUnavailable`` when trees keep losing their
        endpoint, and ``BudgetExhausted`` when the run's budget is used up or ``RateLimited`` when a
        limit of a provider outlasts what is waited for; every tree that was under way has answered
        by then and is stored.
        """
        if self.plan.limits.seconds is not None:
            self._deadline = asyncio.get_running_loop().time() + self.plan.limits.seconds
        shared = self._shared()
        policies = {
            name: stack(policy, name=name, demand=self._demand(name), run=shared)
            for name, policy in self.ports.policies.items()
        }
        prms = {
            (policy, name): stack_prm(
                prm, name=name, draws=self._demand(policy, name).draws, run=shared
            )
            for policy in policies
            for name, prm in self.ports.prms.items()
        }
        slots = asyncio.Semaphore(self.plan.trees)
        self._open_pools()

        async def one(item: tuple[Cell, Problem]) -> None:
            cell, problem = item
            policy = policies[cell.policy.name]
            prm = prms[cell.policy.name, cell.prm.name] if cell.prm else Unscored()
            await self._one(cell, problem, Models(policy, prm), slots)
            self._left[cell.policy.name, problem.id] -= 1
            if not self._left[cell.policy.name, problem.id]:
                policy.forget(problem.id)
                for name in self.ports.prms:
                    prms[cell.policy.name, name].forget(problem.id)
                if self.journal is not None:
                    start = root(problem.question, seed=self.plan.seed, problem_id=problem.id)
                    self.journal.forget(policy.tree_key(start.seed))

        with rare_collections():
            await feed(self._within_budget(), one, slots)
        if self._rate_limit:
            raise RateLimited(self._rate_limit, url="")
        if self._budget_used_up:
            raise BudgetExhausted(*self._budget_used_up, self.progress.ledger.name)

    def _open_pools(self) -> None:
        to_run = Counter(cell.id for cell, _ in self.store.remaining(self.plan))
        for cell in self.plan.cells:
            if cell.routing is not None:
                before = use(self.store.spent_in[cell.id])
                cell.routing.open(to_run[cell.id], self.plan.trees, before)
                if to_run[cell.id] and (share := cell.routing.share) is not None:
                    self.progress.pools.append(PoolProgress(cell.routing, share))

    def _within_budget(self) -> Iterator[tuple[Cell, Problem]]:
        for item in self.store.remaining(self.plan):
            if self._budget_used_up or self._rate_limit:
                for cell in self.plan.cells:
                    if cell.routing is not None:
                        cell.routing.none_to_come()
                return
            yield item

    def _shared(self) -> RunWide:
        models = [model for cell in self.plan.cells for model in (cell.policy, cell.prm)]
        memory = None
        if self.journal is not None:
            memory = Remembering(self.journal, self.progress.replayed)
        return RunWide(
            prices={model.name: model.price for model in models if model and model.price},
            one_per_request=self.ports.one_per_request,
            on_failed_branch=self.plan.on_failed_branch,
            bill=self.ports.bill,
            sent=self.progress.spent,
            memory=memory,
        )

    def _demand(self, policy: str, prm: str | None = None) -> Demand:
        """Of the cells of a policy, or of those under this PRM alone."""
        cells = [
            cell
            for cell in self.plan.cells
            if cell.policy.name == policy
            and (prm is None or (cell.prm is not None and cell.prm.name == prm))
        ]
        return Demand(cells, self.plan.problems)

    async def _one(
        self, cell: Cell, problem: Problem, models: Models, slots: asyncio.Semaphore
    ) -> None:
        progress = self.progress
        progress.in_flight += 1
        progress.cell = cell.id
        self._begun += 1
        tree = Tree(
            key=f"{cell.id}/{self.plan.seed}/{problem.id}",
            problem=problem.id,
            run=str(self.store.folder),
            number=self._begun,
            deadline=self._deadline,
        )
        try:
            outcome = await self._searched(cell, problem, models, tree, slots)
            record = await grade(
                outcome,
                problem,
                cell,
                self.ports.grader,
                soundness=self.ports.soundness,
                substitutes=self.ports.substitutes.get(cell.id),
            )
        finally:
            progress.in_flight -= 1
        if self.journal is not None:
            self.journal.forget(tree.key)
        self.store.add(record)
        if record.error == STOPPED:
            raise asyncio.CancelledError
        if record.ran_out == RATE_LIMIT:
            self._rate_limit = record.error
            return
        progress.finished += 1
        progress.work_done += cell.weight
        if record.error and record.ran_out not in (ENDPOINT, BAD_ANSWERS):
            self._budget_used_up = (
                str(record.ran_out),
                getattr(self.plan.limits, str(record.ran_out)),
            )
            return
        if record.ran_out != BAD_ANSWERS:  # which say nothing of the endpoint
            self._failures = self._failures + 1 if record.error else 0
        if self._failures >= FAILURES_IN_A_ROW:
            raise EndpointUnavailable(
                f"{self._failures} trees in a row lost their endpoint; the last: {record.error}",
                url="",
            )
        if self.on_record is not None:
            self.on_record(record)

    async def _searched(
        self,
        cell: Cell,
        problem: Problem,
        models: Models,
        tree: Tree,
        slots: asyncio.Semaphore,
    ) -> Outcome:
        return await search(
            problem.question,
            cell.strategy,
            models,
            self.plan.problem_limits,
            terms=Terms(
                policy_price=cell.policy.price,
                prm_price=cell.prm.price if cell.prm else None,
                one_per_request=cell.policy.name in self.ports.one_per_request,
                on_failed_branch=self.plan.on_failed_branch,
            ),
            place=Place(
                seed=self.plan.seed,
                tree=tree,
                ledger=self.progress.ledger,
                slots=slots,
                routing=cell.routing,
                reached=self.store.reached(cell.id, problem.id),
            ),
            answers=self.ports.grader,
        )
