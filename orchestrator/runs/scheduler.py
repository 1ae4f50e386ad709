"""Many trees at once: every problem of every cell, so many trees in flight, none waiting on
another."""

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from orchestrator.core.fanout import feed
from orchestrator.core.node import Tree
from orchestrator.core.problem import Problem
from orchestrator.core.records import Record
from orchestrator.runs.answers import AnswerReader
from orchestrator.runs.collection import rare_collections
from orchestrator.runs.course import Course
from orchestrator.runs.grading import grade
from orchestrator.runs.plan import Cell, Plan, Ports
from orchestrator.runs.ports.replay import Remembering
from orchestrator.runs.ports.trees import tree_key
from orchestrator.runs.progress import PoolProgress, RunProgress
from orchestrator.runs.search import Place, search, search_across, use
from orchestrator.runs.shared_models import SharedModels
from orchestrator.storage.journal import Journal
from orchestrator.storage.store import Store


@dataclass(slots=True)
class Scheduler:
    """Runs a plan into a store. ``on_record`` is called with every finished problem.

    With a ``journal``, what earlier processes paid for is not asked for again.
    """

    plan: Plan
    ports: Ports
    store: Store
    journal: Journal | None = None
    progress: RunProgress = field(init=False)
    on_record: Callable[[Record], None] | None = None
    _course: Course = field(init=False)
    _begun: int = 0
    _deadline: float = math.inf
    _left: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        for cell in self.plan.cells:
            if cell.cap is not None:
                self.store.reopen(cell.id, cell.cap)
        total = sum(len(self.plan.problems[: cell.problems]) for cell in self.plan.cells)
        remaining = list(self.store.remaining(self.plan))
        self._left = Counter((cell.policy.name, problem.id) for cell, problem in remaining)
        work = sum(cell.weight for cell, _ in remaining)
        self.progress = RunProgress(total, already=total - len(remaining), work=work)
        self.progress.ledger.spent = replace(self.store.spent)
        self.progress.bill = self.ports.bill
        # the bill keeps the limit of the cost: it counts what several strategies share once
        self.progress.ledger.limits = replace(self.plan.limits, cost=None)
        self._course = Course(self.plan.limits, self.progress.ledger.name)

    async def run(self) -> None:
        """Run what is open.

        Raises ``EndpointRefused`` at once, ``EndpointUnavailable`` when trees keep losing their
        endpoint, and ``BudgetExhausted`` when the run's budget is used up or ``RateLimited`` when a
        limit of a provider outlasts what is waited for; every tree that was under way has answered
        by then and is stored.
        """
        if self.plan.limits.seconds is not None:
            self._deadline = asyncio.get_running_loop().time() + self.plan.limits.seconds
        memory = None
        if self.journal is not None:
            memory = Remembering(self.journal, self.progress.replayed)
        shared = SharedModels.of(self.plan, self.ports, self.progress.spent, memory)
        slots = asyncio.Semaphore(self.plan.trees)
        self._open_pools()

        async def one(item: tuple[Cell, Problem]) -> None:
            cell, problem = item
            await self._one(cell, problem, shared, slots)
            self._left[cell.policy.name, problem.id] -= 1
            if cell.across is None and not self._left[cell.policy.name, problem.id]:
                key = shared.forget(cell.policy.name, problem)
                if self.journal is not None:
                    self.journal.forget(key)

        with rare_collections():
            await feed(self._until_the_end(), one, slots)
        if self._course.end is not None:
            raise self._course.end

    def _open_pools(self) -> None:
        to_run = Counter(cell.id for cell, _ in self.store.remaining(self.plan))
        for cell in self.plan.cells:
            if cell.routing is not None:
                before = use(self.store.spent_in[cell.id])
                cell.routing.open(to_run[cell.id], self.plan.trees, before)
                if to_run[cell.id] and (share := cell.routing.share) is not None:
                    self.progress.pools.append(PoolProgress(cell.routing, share))

    def _until_the_end(self) -> Iterator[tuple[Cell, Problem]]:
        for item in self.store.remaining(self.plan):
            if self._course.end is not None:
                for cell in self.plan.cells:
                    if cell.routing is not None:
                        cell.routing.all_started()
                return
            yield item

    async def _one(
        self, cell: Cell, problem: Problem, shared: SharedModels, slots: asyncio.Semaphore
    ) -> None:
        """Search, grade and store one problem of a cell."""
        self.progress.in_flight += 1
        self.progress.cell = cell.id
        try:
            record = await self._record(cell, problem, shared, slots)
        finally:
            self.progress.in_flight -= 1
        self.store.add(record)
        effect = self._course.observe(record)
        if effect == "rate limited":  # the next start finishes it
            return
        self.progress.finished += 1
        self.progress.work_done += cell.weight
        if effect != "over budget" and self.on_record is not None:
            self.on_record(record)

    async def _record(
        self, cell: Cell, problem: Problem, shared: SharedModels, slots: asyncio.Semaphore
    ) -> Record:
        self._begun += 1
        tree = Tree(
            key=f"{cell.id}/{self.plan.seed}/{problem.id}",
            problem=problem.id,
            run=str(self.store.folder),
            number=self._begun,
            deadline=self._deadline,
        )
        place = Place(
            seed=self.plan.seed,
            tree=tree,
            ledger=self.progress.ledger,
            slots=slots,
            routing=cell.routing,
            reached=self.store.reached(cell.id, problem.id),
        )
        question, limits = problem.question, self.plan.problem_limits
        answers = AnswerReader(self.ports.task, problem)
        if cell.across is not None:
            outcome = await search_across(
                question,
                cell.across.of(problem.id),
                shared.across(cell),
                limits,
                place=place,
                answers=answers,
            )
        else:
            outcome = await search(
                question,
                cell.strategy,
                shared.models(cell),
                limits,
                terms=shared.terms(cell),
                place=place,
                answers=answers,
            )
        if self.journal is not None:
            policies = [each.name for each in cell.policies] if cell.across else []
            for key in [tree.key, *(tree_key(tree.key, policy) for policy in policies)]:
                self.journal.forget(key)
        return await grade(
            outcome,
            problem,
            cell,
            self.ports.task,
            substitutes=self.ports.substitutes.get(cell.id),
        )
