"""Solutions of the embedded problems, the first wrong step of each named by rule.

No model has a say in the label: a step is right when it carries out the problem's next instruction
on the value stated before it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.config.run import RunConfig, TaskConfig
from orchestrator.core.node import Node
from orchestrator.core.problem import Problem
from orchestrator.errors import TaskError
from orchestrator.evaluation.drawing import SAMPLING, DrawnSolution
from orchestrator.evaluation.samples import ALL_RIGHT, DataSet, LabelledSolution
from orchestrator.wiring.problem_sets import CHAINS, problems
from servers.tiny import problems as rules


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainSet:
    """``wanted`` holds the problems by the id of their solution, drawn from ``policy``."""

    policy: str
    wanted: dict[str, Problem]

    @classmethod
    def of(cls, config: RunConfig, policy: str, identity: str, count: int) -> "ChainSet":
        """``count`` problems of the task's seed; ``identity`` stands for all that the policy's
        solutions depend on."""
        task = TaskConfig(name=CHAINS, problems=count, seed=config.task.seed)
        drawn = problems(task)
        return cls(policy=policy, wanted={f"{each.id}/{identity}": each for each in drawn})

    def label(self, problem: Problem, solution: Node) -> LabelledSolution | None:
        """The solution's sample; None where it stops before its last step, all right so far."""
        chain = rules.parse(problem.question)
        steps = [step.strip() for step in solution.steps]
        right = rules.own_labels(chain, steps)
        if all(right) and len(right) <= chain.depth:
            return None
        return LabelledSolution(
            id=problem.id,
            generator=self.policy,
            problem=problem.question,
            steps=solution.steps,
            final_answer_correct=rules.boxed(steps[-1]) == int(chain.answer),
            label=right.index(False) if False in right else ALL_RIGHT,
        )

    def undrawn(self, drawn: Iterable[DrawnSolution]) -> dict[str, Problem]:
        """What is still to be drawn."""
        there = {each.id for each in drawn}
        return {id: problem for id, problem in self.wanted.items() if id not in there}

    def data_set(self, drawn: Iterable[DrawnSolution]) -> DataSet:
        """All that was drawn, in the problems' order. Raises ``TaskError`` where nothing ended."""
        found = {each.id: each.sample for each in drawn}
        samples = [sample for id in self.wanted if (sample := found.get(id)) is not None]
        if not samples:
            raise TaskError(
                f"no solution of {self.policy} came to its end, out of {len(self.wanted)}: name "
                "another with --policy, or give a file of labelled solutions"
            )
        without = len(self.wanted) - len(samples)
        left_out = f"; {without} that did not come to their end are left out" if without else ""
        return DataSet(
            name=CHAINS,
            samples=tuple(samples),
            note=(
                f"{len(self.wanted)} generated problems, solved by {self.policy} at temperature "
                f"{SAMPLING.temperature:g}, first wrong steps named by rule{left_out}"
            ),
        )
