"""The task of a run and its problems: a named data set, a file, or generated problems for small
models."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from orchestrator.config.run import TaskConfig
from orchestrator.core.problem import Problem
from orchestrator.core.task import Grade, Task
from orchestrator.errors import TaskError
from orchestrator.tasks.datasets import NAMED, TaskSource, load
from orchestrator.tasks.kinds import DEFAULT, made, task_class
from orchestrator.tasks.math.reading.boxes import reference
from orchestrator.tasks.math.task import MathTask
from orchestrator.tasks.records import Fields
from servers.simulated import problems as sums
from servers.tiny import problems as chains

CHAINS = "chains"
"""The generated task of the embedded models."""

SUMS = "sums"
"""The generated task of the simulated models."""


class ChainsTask(MathTask):
    """Chains of calculations. Steps are graded too: a right answer may follow a wrong step."""

    async def grade(self, problem: Problem, text: str) -> Grade:
        sound = chains.whole_chain_right(chains.parse(problem.question), text)
        return replace(await super().grade(problem, text), sound=sound)


def task_of(config: TaskConfig) -> Task:
    """The task of a run: its prompts and its grading. Raises ``ConfigError``."""
    is_chains = config.kind is None and config.name == CHAINS
    return made(ChainsTask if is_chains else task_class(config.kind or DEFAULT), config.options)


DEFAULT_PROBLEMS = 100
"""How many problems to generate by default."""


def problems(config: TaskConfig) -> list[Problem]:
    """The problems of a run. Raises ``TaskError``."""
    fields = Fields(
        question=config.question,
        answer=config.answer,
        id=config.id,
        level=config.level,
        reference=reference if config.kind in (None, DEFAULT) else str.strip,
    )
    limit = None if config.problems is None else config.skip + config.problems
    source = TaskSource(name=config.name, path=config.path, fields=fields, limit=limit)
    found = load(
        source,
        {
            **NAMED,
            CHAINS: _generated(CHAINS, chains.held_out, config.seed),
            SUMS: _generated(SUMS, sums.generate, config.seed),
        },
    )
    if len(found) <= config.skip:
        raise TaskError(
            f"task.skip = {config.skip} leaves none of the task's {len(found)} problems"
        )
    return found[config.skip :]


def _generated(
    name: str, generate: Callable[[int, int], Iterator[chains.Chain | sums.Sum]], seed: int
) -> Callable[[int | None], list[Problem]]:
    def generated(limit: int | None) -> list[Problem]:
        return [
            Problem(
                id=f"{name}-{seed}-{i}",
                question=each.question,
                answer=each.answer,
                level=f"depth {each.depth}",
            )
            for i, each in enumerate(generate(limit or DEFAULT_PROBLEMS, seed))
        ]

    return generated
