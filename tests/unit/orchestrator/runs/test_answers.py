"""A task as one tree asks it: nothing that is no answer counts as one, in silence."""

from dataclasses import replace

import pytest

from orchestrator.core.node import Finish, Node
from orchestrator.core.problem import Problem
from orchestrator.core.task import Grade, Task
from orchestrator.errors import TaskError
from orchestrator.runs.answers import AnswerReader

PROBLEM = Problem(id="p", question="What is 3 + 4?", answer="7")


class LastWord(Task):
    """Decides between equal words only; what starts with "=" is complete."""

    async def extract(self, problem: Problem, text: str) -> str | None:
        assert problem is PROBLEM
        return text.split("so")[-1].strip()

    async def same(self, problem: Problem, a: str, b: str) -> bool | None:
        return True if a == b else None

    def is_complete(self, step: str) -> bool:
        return step.startswith("=")


def leaf(text: str, finish: Finish | None = "stop") -> Node:
    return replace(Node(question=PROBLEM.question, seed=1), steps=(text,), finish=finish)


async def test_a_path_is_read_after_its_thought() -> None:
    reader = AnswerReader(LastWord(), PROBLEM)
    assert await reader.answer(leaf("<think>so 3</think>so 7")) == "7"
    assert await reader.grade(leaf("<think>so 3</think>so 7")) == Grade(answer="7", correct=True)


@pytest.mark.parametrize("text", ["so ", "so", "   ", ""])
async def test_a_blank_answer_is_none_and_never_right(text: str) -> None:
    reader = AnswerReader(LastWord(), PROBLEM)
    assert await reader.answer(leaf(text)) is None
    assert await reader.grade(leaf(text)) == Grade(answer=None, correct=False)
    assert reader.undecided == set()


@pytest.mark.parametrize(("text", "answer"), [("so 7", None), ("= so 7", "7")])
async def test_a_path_that_was_cut_answers_only_where_its_task_says_it_is_complete(
    text: str, answer: str | None
) -> None:
    reader = AnswerReader(LastWord(), PROBLEM)
    assert await reader.answer(leaf(text, "length")) == answer
    assert await reader.grade(leaf(text, "length")) == Grade(answer=answer, correct=bool(answer))


async def test_each_pair_that_is_not_decided_is_counted_once() -> None:
    reader = AnswerReader(LastWord(), PROBLEM, [frozenset({"1", "2"})])
    assert await reader.same("8", "9") is None
    assert await reader.same("9", "8") is None
    assert await reader.same("2", "1") is None
    assert (await reader.grade(leaf("so 8"))).correct is None
    assert reader.undecided == {frozenset(pair) for pair in (("1", "2"), ("8", "9"), ("8", "7"))}


async def test_without_a_reference_there_is_no_pair_to_decide() -> None:
    class Any(LastWord):
        async def extract(self, problem: Problem, text: str) -> str | None:
            return text

    reader = AnswerReader(Any(), Problem(id="q", question="?"))
    assert await reader.grade(leaf("8")) == Grade(answer="8", correct=None)
    assert reader.undecided == set()


class Broken(LastWord):
    async def same(self, problem: Problem, a: str, b: str) -> bool | None:
        return float(a) == float(b)


class Numbers(LastWord):
    async def extract(self, problem: Problem, text: str) -> str | None:
        return 7  # type: ignore[return-value]


async def test_a_task_that_fails_is_named_with_the_problem_and_the_reason() -> None:
    reader = AnswerReader(Broken(), PROBLEM)
    with pytest.raises(
        TaskError, match=r"Broken.same failed on problem 'p': ValueError: could not"
    ):
        await reader.same("seven", "7")
    with pytest.raises(TaskError, match=r"Broken.grade failed on problem 'p': ValueError"):
        await reader.grade(leaf("so seven"))


async def test_an_answer_that_is_no_text_is_refused() -> None:
    reader = AnswerReader(Numbers(), PROBLEM)
    with pytest.raises(
        TaskError, match=r"Numbers.extract failed .* an answer is text or None, not 7"
    ):
        await reader.answer(leaf("so 7"))
