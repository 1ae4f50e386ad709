"""Draw solutions from a policy, and label their first wrong step by a rule."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from orchestrator.core.budget import Ledger, Price, Spend
from orchestrator.core.node import Node, root
from orchestrator.core.ports import Policy, Sampling
from orchestrator.core.problem import Problem
from orchestrator.evaluation.samples import LabelledSolution
from orchestrator.evaluation.working import for_each
from orchestrator.formats.jsonlines import JsonLines
from orchestrator.runs.ports.metering import MeteredPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnSolution:
    """One line of the journal of drawn solutions; ``sample`` is None for an unfinished one.

    ``id`` names the problem, the policy and everything its solution depends on.
    """

    id: str
    sample: LabelledSolution | None
    spent: Spend = field(default_factory=Spend)


SAMPLING = Sampling(temperature=0.7, max_tokens=8192, until="end")

Label = Callable[[Problem, Node], LabelledSolution | None]
"""Labels a solution with its first wrong step; None for an incomplete solution."""


async def draw(
    wanted: Mapping[str, Problem],
    policy: Policy,
    label: Label,
    journal: JsonLines[DrawnSolution],
    *,
    seed: int,
    in_flight: int,
    ledger: Ledger,
    price: Price | None = None,
    tick: Callable[[], None] = lambda: None,
) -> None:
    """Add a solution of each problem to the journal, under its id in ``wanted``.

    Charges the ``ledger`` at the policy's ``price``; calls ``tick`` after every problem. Raises
    ``EndpointError``, and ``BudgetExhausted`` once everything under way is drawn.
    """

    async def one(item: tuple[str, Problem]) -> None:
        id, problem = item
        scope = ledger.scope("solution")
        start = root(problem.question, seed=seed, problem_id=problem.id)
        (solution,) = await MeteredPolicy(policy, scope, price).extend(start, 1, SAMPLING)
        sample = label(problem, solution) if solution.finish == "stop" else None
        journal.add(DrawnSolution(id=id, sample=sample, spent=scope.spent))
        tick()

    await for_each(wanted.items(), one, in_flight=in_flight)
