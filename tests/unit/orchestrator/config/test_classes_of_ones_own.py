"""A strategy, a task or a PRM family of the user's own, named in a config as ``module:Name``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from orchestrator.config.run import validate
from orchestrator.core.node import Node
from orchestrator.core.ports import Models, Need
from orchestrator.core.problem import Problem
from orchestrator.core.task import Task
from orchestrator.core.voting import Majority
from orchestrator.endpoints.prm.base import HttpPRM
from orchestrator.errors import ConfigError
from orchestrator.wiring.problem_sets import problems, task_of
from tests.unit.orchestrator.small_config import valid


@dataclass(frozen=True, slots=True, kw_only=True)
class Twice:
    needs: ClassVar[frozenset[Need]] = frozenset()
    n: int = 2
    warmth: float = 0.5

    async def __call__(self, root: Node, models: Models) -> list[Node]:
        return []


@dataclass(slots=True, kw_only=True)
class Plain(HttpPRM):
    opening: str = ""

    async def read(self, nodes: Any) -> Any:
        return []


class Unread(HttpPRM):
    """Reads nothing."""


@dataclass(frozen=True, slots=True)
class Trusted:
    least: float = 0.5

    @property
    def name(self) -> str:
        return f"trusted_{self.least:g}"

    def weights(self, voters: Any, classes: Any) -> list[float | None]:
        return [1.0 if min(each.scores, default=0.0) >= self.least else None for each in voters]


@dataclass(frozen=True, slots=True)
class Old:
    """A vote as they were before answers had classes."""

    name: ClassVar[str] = "old"

    def weights(self, voters: Any) -> list[float | None]:
        return []


class Capitals(Task):
    async def extract(self, problem: Problem, text: str) -> str | None:
        return text

    async def same(self, problem: Problem, a: str, b: str) -> bool | None:
        return a == b


HERE = __name__
CELL = {"policy": "small", "strategy": f"{HERE}:Twice", "n": [2, 4], "warmth": 0.7}


def test_a_strategy_is_its_class_with_its_settings() -> None:
    cells = valid(cells=[CELL]).all_cells
    assert [cell.strategy for cell in cells] == [Twice(n=2, warmth=0.7), Twice(n=4, warmth=0.7)]
    assert cells[0].id == f"small/{HERE}:Twice-n2-warmth0.7"


def test_a_family_is_its_class_with_its_options() -> None:
    prms = {"prm": {"url": "http://c", "family": f"{HERE}:Plain", "options": {"opening": "Q: "}}}
    assert valid(prms=prms).prms["prm"].options == {"opening": "Q: "}


def test_a_task_is_its_class_and_reads_the_answer_field_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "capitals.jsonl"
    file.write_text('{"question": "France?", "answer": " Paris #### 1"}\n')
    config = valid(task={"path": str(file), "kind": f"{HERE}:Capitals"})
    assert isinstance(task_of(config.task), Capitals)
    assert [problem.answer for problem in problems(config.task)] == ["Paris #### 1"]
    assert "kind" in config.identity()["task"] and "kind" not in valid().identity()["task"]


def test_options_of_a_task_belong_to_what_a_run_is_held_to() -> None:
    config = valid(task={"name": "chains", "options": {"percent": True}})
    assert getattr(task_of(config.task), "percent") is True  # noqa: B009
    assert config.identity()["task"]["options"] == {"percent": True}
    assert validate(config.dumped(), "again").task == config.task
    assert "options" not in valid().identity()["task"]
    with pytest.raises(ConfigError, match="MathTask takes no option 'percents'"):
        valid(task={"name": "chains", "options": {"percents": True}})


def test_a_kind_of_task_that_there_is_not_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r'unknown kind of task .maths.: did you mean "math"'):
        valid(task={"name": "chains", "kind": "maths"})


def test_a_class_that_is_no_task_is_refused_with_the_key() -> None:
    with pytest.raises(ConfigError, match=r"task.kind: .*:Twice is no task: it has no `extract`"):
        valid(task={"name": "chains", "kind": f"{HERE}:Twice"})


def test_votes_are_taken_beside_the_usual_ones_and_belong_to_what_a_run_is_held_to() -> None:
    config = valid(votes=[f"{HERE}:Trusted", {"vote": f"{HERE}:Trusted", "least": 0.8}])
    for cell in config.all_cells:
        assert cell.votes[0] == Majority() and cell.votes[-2:] == (Trusted(), Trusted(0.8))
    assert validate(config.dumped(), "again").all_cells == config.all_cells
    assert "votes" in config.identity() and "votes" not in valid().identity()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"cells": [{**CELL, "warmht": 1}]}, '"warmth"'),
        ({"cells": [{**CELL, "warmth": "hot"}]}, "warmth"),
        ({"cells": [{**CELL, "strategy": f"{HERE}:Path"}]}, "is no strategy"),
        ({"cells": [{**CELL, "strategy": "no_such:Thing"}]}, "cannot import 'no_such'"),
        ({"cells": [{**CELL, "prm": "prm"}]}, "leave `prm` out"),
        ({"votes": [f"{HERE}:Twice"]}, "is no vote: it has no `weights`"),
        ({"votes": [f"{HERE}:Old"]}, r"`weights` must take the voters and the classes"),
        ({"votes": ["majority"]}, "taken anyway"),
        ({"votes": [{"vote": f"{HERE}:Trusted", "least": "most"}]}, "least"),
        ({"prms": {"prm": {"url": "http://c", "family": f"{HERE}:Path", "options": {"a": 1}}}},
         "derive it from `HttpPRM`"),
        ({"prms": {"prm": {"url": "http://c", "family": f"{HERE}:Unread", "options": {"a": 1}}}},
         "it has no `read`"),
        ({"prms": {"prm": {"url": "http://c", "family": f"{HERE}:Plain",
                           "options": {"opneing": ""}}}}, '"opening"'),
    ],
)  # fmt: skip
def test_a_mistake_says_what_is_wrong_with_it(changes: Any, complaint: str) -> None:
    assert Path  # which is no strategy and no family
    with pytest.raises(ConfigError, match=complaint):
        valid(**changes)
