"""The first wrong step of a solution to an embedded problem, by rule: no model has a say in it."""

from orchestrator.core.problem import Problem
from orchestrator.core.tree import Node
from orchestrator.evaluation.samples import ALL_RIGHT, Sample
from servers.tiny import problems as chains


def labelled(problem: Problem, solution: Node, *, generator: str, id: str) -> Sample | None:
    """The solution with its label; None where it stops before its last step, all right so far."""
    chain = chains.parse(problem.question)
    steps = [step.strip() for step in solution.steps]
    right = chains.own_labels(chain, steps)
    if all(right) and len(right) <= chain.depth:
        return None
    return Sample(
        id=id,
        generator=generator,
        problem=problem.question,
        steps=solution.steps,
        final_answer_correct=chains.boxed(steps[-1]) == int(chain.answer),
        label=right.index(False) if False in right else ALL_RIGHT,
    )
