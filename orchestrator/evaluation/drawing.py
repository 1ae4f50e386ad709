"""Labelled solutions of problems whose steps a rule can judge, drawn from a policy."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from orchestrator.core.fanout import fan_out
from orchestrator.core.ports import Policy, Sampling
from orchestrator.core.problem import Problem
from orchestrator.core.tree import Node, root
from orchestrator.evaluation.samples import Sample
from orchestrator.jsonlines import JsonLines


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What is kept of one request: its sample, None where the solution did not come to its end.

    ``id`` names the problem, and the policy with all that its solution depends on.
    """

    id: str
    sample: Sample | None


SAMPLING = Sampling(temperature=0.7, max_tokens=8192, until="end")

Label = Callable[[Problem, Node], Sample | None]
"""A solution with its first wrong step; None where it is no whole solution."""


async def draw(
    wanted: Mapping[str, Problem],
    policy: Policy,
    label: Label,
    journal: JsonLines[Drawn],
    *,
    seed: int,
    in_flight: int,
    tick: Callable[[], None] = lambda: None,
) -> None:
    """Add a solution of each problem to the journal, under its id in ``wanted``.

    ``tick`` is called after every problem. Raises ``EndpointError``.
    """
    queue = iter(wanted.items())

    async def worker() -> None:
        for id, problem in queue:
            start = root(problem.question, seed=seed, problem_id=problem.id)
            (solution,) = await policy.extend(start, 1, SAMPLING)
            sample = label(problem, solution) if solution.finish == "stop" else None
            journal.add(Drawn(id=id, sample=sample))
            tick()

    await fan_out(worker() for _ in range(min(in_flight, len(wanted))))
