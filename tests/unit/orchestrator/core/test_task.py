"""The port of a task: what comes for free to whoever says how to read and compare answers."""

from contextlib import AbstractAsyncContextManager
from types import TracebackType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.problem import Problem
from orchestrator.core.task import Grade, Instruction, Task, opened

PARIS = Problem(id="fr", question="What is the capital of France?", answer="Paris")
WORDS = st.sampled_from(["Paris", "PARIS", "Lyon", "?", ""])


class Capitals(Task):
    """Exact match without case; about a "?" nobody can decide."""

    async def extract(self, problem: Problem, text: str) -> str | None:
        return text.removeprefix("Answer: ").strip() or None

    async def same(self, problem: Problem, a: str, b: str) -> bool | None:
        return None if "?" in (a, b) else a.casefold() == b.casefold()


@given(WORDS, WORDS)
async def test_a_solution_is_right_where_its_answer_is_the_same_as_the_reference(
    word: str, reference: str
) -> None:
    task, problem = Capitals(), Problem(id="p", question="?", answer=reference)
    grade = await task.grade(problem, f"Answer: {word}")
    assert grade.answer == await task.extract(problem, f"Answer: {word}")
    if grade.answer is None:
        assert grade.correct is False
    else:
        assert grade.correct is await task.same(problem, grade.answer, reference)
    assert grade.sound is None


async def test_what_is_not_decided_is_neither_right_nor_wrong() -> None:
    assert await Capitals().grade(PARIS, "Answer: ?") == Grade(answer="?", correct=None)


async def test_without_a_reference_no_answer_is_right_or_wrong() -> None:
    asked = Problem(id="fr", question=PARIS.question)
    assert await Capitals().grade(asked, "Answer: Paris") == Grade(answer="Paris", correct=None)
    assert await Capitals().grade(asked, "") == Grade(answer=None, correct=False)


def test_a_task_that_says_no_more_leaves_the_end_to_the_model_and_the_prompt_bare() -> None:
    assert not Capitals().is_complete("Answer: Paris")
    assert Capitals().instruction == Instruction()


class Resourceful(Capitals, AbstractAsyncContextManager["Resourceful"]):
    is_open = False

    async def __aenter__(self) -> "Resourceful":
        self.is_open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:  # fmt: skip
        self.is_open = False


async def test_a_task_that_holds_resources_has_them_while_it_is_opened() -> None:
    task = Resourceful()
    with pytest.raises(RuntimeError):
        async with opened(task) as entered:
            assert entered is task and task.is_open
            raise RuntimeError
    assert not task.is_open
    async with opened(plain := Capitals()) as entered:
        assert entered is plain
