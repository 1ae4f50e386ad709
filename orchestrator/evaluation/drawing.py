"""Labelled solutions of problems whose steps a rule can judge, drawn from a policy."""

from collections.abc import Callable, Sequence

from orchestrator.core.fanout import fan_out
from orchestrator.core.ports import Policy, Sampling
from orchestrator.core.problem import Problem
from orchestrator.core.tree import Node, root
from orchestrator.evaluation.journal import Journal
from orchestrator.evaluation.samples import Sample

SAMPLING = Sampling(temperature=0.7, max_tokens=8192, until="end")

Label = Callable[[Problem, Node], Sample | None]
"""A solution with its first wrong step; None where it is no whole solution."""


async def draw(
    problems: Sequence[Problem],
    policy: Policy,
    label: Label,
    journal: Journal[Sample],
    *,
    seed: int,
    in_flight: int,
    tick: Callable[[], None] = lambda: None,
) -> None:
    """Add one sample of each problem to the journal; ``tick`` is called after every problem.

    A solution that did not come to its end is left out. Raises ``EndpointError``.
    """
    queue = iter(problems)

    async def worker() -> None:
        for problem in queue:
            start = root(problem.question, seed=seed, problem_id=problem.id)
            (solution,) = await policy.extend(start, 1, SAMPLING)
            sample = label(problem, solution) if solution.finish == "stop" else None
            if sample is not None:
                journal.add(sample)
            tick()

    await fan_out(worker() for _ in range(min(in_flight, len(problems))))
