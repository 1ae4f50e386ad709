"""Tasks by the name of their kind, or of their class."""

import pytest

from orchestrator.core.problem import Problem
from orchestrator.core.task import Task
from orchestrator.errors import ConfigError
from orchestrator.tasks.kinds import DEFAULT, task
from orchestrator.tasks.math.task import MathTask

HERE = __name__


class Capitals(Task):
    async def extract(self, problem: Problem, text: str) -> str | None:
        return text

    async def same(self, problem: Problem, a: str, b: str) -> bool | None:
        return a == b


class Demanding(Capitals):
    def __init__(self, atlas: str) -> None:
        self.atlas = atlas


class Half:
    async def extract(self, problem: Problem, text: str) -> str | None:
        return text


def test_mathematics_is_a_kind_and_so_is_a_class_of_ones_own() -> None:
    assert isinstance(task(DEFAULT), MathTask)
    assert isinstance(task(f"{HERE}:Capitals"), Capitals)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Half", "is no task: it has no `same`; derive it from orchestrator.Task"),
        ("Demanding", "cannot be made without arguments: give each of them a default"),
        ("Nowhere", "has no 'Nowhere'"),
    ],
)
def test_what_is_no_task_is_refused_in_a_line(name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        task(f"{HERE}:{name}")
    assert "\n" not in str(refused.value)
