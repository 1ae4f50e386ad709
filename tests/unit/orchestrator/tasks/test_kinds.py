"""Tasks by the name of their kind, or of their class."""

from dataclasses import dataclass

import pytest

from orchestrator.core.problem import Problem
from orchestrator.core.task import Task
from orchestrator.errors import ConfigError
from orchestrator.tasks.kinds import DEFAULT, made, options_of, task_class
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


@dataclass
class Regional(Capitals):
    region: str = "Europe"
    strict: bool = False


class Half:
    async def extract(self, problem: Problem, text: str) -> str | None:
        return text


def test_mathematics_is_a_kind_and_so_is_a_class_of_ones_own() -> None:
    assert task_class(DEFAULT) is MathTask
    assert isinstance(made(task_class(f"{HERE}:Capitals"), {}), Capitals)


def test_what_a_task_is_made_with_is_kept_as_its_options() -> None:
    task = made(Regional, {"region": "Asia"})
    assert isinstance(task, Regional) and task.region == "Asia"
    assert options_of(task) == {"region": "Asia"}
    assert options_of(MathTask()) == options_of(Capitals()) == {}
    assert options_of(MathTask(percent=True)) == {"percent": True}
    with pytest.raises(ConfigError, match="Demanding takes options: make it a dataclass"):
        options_of(Demanding("old"))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Half", "is no task: it has no `same`; derive it from orchestrator.Task"),
        ("Demanding", "Demanding cannot be made: set its `options`, or give them defaults"),
        ("Nowhere", "has no 'Nowhere'"),
    ],
)
def test_what_is_no_task_is_refused_in_a_line(name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        made(task_class(f"{HERE}:{name}"), {})
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "said"),
    [(Regional, "those it takes are region, strict"), (Capitals, "it takes none")],
)
def test_an_option_that_there_is_not_is_refused_with_those_there_are(
    kind: type[Task], said: str
) -> None:
    with pytest.raises(ConfigError, match=f"{kind.__name__} takes no option 'planet': {said}"):
        made(kind, {"planet": "Mars"})
