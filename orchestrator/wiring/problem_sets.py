"""The task of a run and its problems: a named data set, a file, or one that small models are made
for."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from orchestrator.config.run import TaskConfig
from orchestrator.core.problem import Problem
from orchestrator.core.task import Grade, Task
from orchestrator.errors import TaskError
from orchestrator.tasks.datasets import NAMED, TaskSource, load
from orchestrator.tasks.math.task import MathTask
from orchestrator.tasks.records import Fields
from servers.simulated import problems as sums
from servers.tiny import problems as chains

CHAINS = "chains"
"""The generated task the embedded models are made for."""

SUMS = "sums"
"""The generated task the simulated models are made for."""


class ChainsTask(MathTask):
    """Chains of calculations, whose every step is known: a right answer may come of a wrong way."""

    async def grade(self, problem: Problem, text: str) -> Grade:
        sound = chains.whole_chain_right(chains.parse(problem.question), text)
        return replace(await super().grade(problem, text), sound=sound)


TASKS: dict[str, type[Task]] = {"math": MathTask, CHAINS: ChainsTask, SUMS: MathTask}
"""What grades a task, by its name; ``math`` grades the named data sets and files."""


def task_of(task: TaskConfig) -> Task:
    """What a run asks, and what grades it."""
    return TASKS.get(task.name or "math", MathTask)()


UNLESS_SAID = 100
"""How many problems are generated where a config names no number."""


def problems(task: TaskConfig) -> list[Problem]:
    """The problems of a run. Raises ``TaskError``."""
    fields = Fields(question=task.question, answer=task.answer, id=task.id, level=task.level)
    limit = None if task.problems is None else task.skip + task.problems
    source = TaskSource(name=task.name, path=task.path, fields=fields, limit=limit)
    found = load(
        source,
        {
            **NAMED,
            CHAINS: _generated(CHAINS, chains.held_out, task.seed),
            SUMS: _generated(SUMS, sums.generate, task.seed),
        },
    )
    if len(found) <= task.skip:
        raise TaskError(f"task.skip = {task.skip} leaves none of the task's {len(found)} problems")
    return found[task.skip :]


def _generated(
    name: str, generate: Callable[[int, int], Iterator[chains.Chain | sums.Problem]], seed: int
) -> Callable[[int | None], list[Problem]]:
    def generated(limit: int | None) -> list[Problem]:
        return [
            Problem(
                id=f"{name}-{seed}-{i}",
                question=each.question,
                answer=each.answer,
                level=f"depth {each.depth}",
            )
            for i, each in enumerate(generate(limit or UNLESS_SAID, seed))
        ]

    return generated
