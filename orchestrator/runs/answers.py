"""The answers of one tree: which its paths state, which of them are equal, and which are right."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from orchestrator.core.equivalence import Answers
from orchestrator.core.node import Node
from orchestrator.core.ports import Policy, Sampling
from orchestrator.core.problem import Problem
from orchestrator.core.stated import stating
from orchestrator.core.task import Grade, Task
from orchestrator.errors import OrchardError, TaskError


class AnswerReader:
    """A task as the search for one problem asks it.

    Keeps each pair of answers that stays ``undecided`` once, however often it is asked about,
    beside those that were undecided before. What a task raises that is no ``OrchardError`` comes as
    ``TaskError``, with its name and what it was asked.
    """

    def __init__(
        self, task: Task, problem: Problem, undecided: Iterable[frozenset[str]] = ()
    ) -> None:
        self._task = task
        self._problem = problem
        self.undecided = set(undecided)

    def is_complete(self, step: str) -> bool:
        """Whether a step states the final answer."""
        return self._task.is_complete(step)

    async def answer(self, leaf: Node) -> str | None:
        """The answer that a path states, or None where it states none."""
        text = self._stating(leaf)
        if not text:
            return None
        with self._asking("extract"):
            return _stated(await self._task.extract(self._problem, text))

    async def same(self, a: str, b: str) -> bool | None:
        """Whether two answers mean the same; None: not decided."""
        with self._asking("same"):
            verdict = await self._task.same(self._problem, a, b)
        if verdict is None:
            self.undecided.add(frozenset((a, b)))
        return verdict

    async def grade(self, leaf: Node) -> Grade:
        """What a path is worth: without an answer never right, whatever the task makes of it."""
        text = self._stating(leaf)
        with self._asking("grade"):
            grade = await self._task.grade(self._problem, text or "")
            answer = _stated(grade.answer) if text else None
        if answer is None:
            return replace(grade, answer=None, correct=False)
        if grade.correct is None and self._problem.answer is not None:
            self.undecided.add(frozenset((answer, self._problem.answer)))
        return grade

    @contextmanager
    def _asking(self, method: str) -> Iterator[None]:
        try:
            yield
        except OrchardError:
            raise
        except Exception as error:
            raise TaskError(
                f"{type(self._task).__name__}.{method} failed on problem {self._problem.id!r}: "
                f"{type(error).__name__}: {error}"
            ) from error

    def _stating(self, leaf: Node) -> str | None:
        return stating(leaf.text, leaf.finish, self._task.is_complete)


def _stated(answer: str | None) -> str | None:
    """An answer that says something: blank ones would all be equal, and elected.

    Raises ``TypeError`` for one that is no text.
    """
    if not isinstance(answer, str | None):
        raise TypeError(f"an answer is text or None, not {answer!r:.40}")
    return answer if answer and not answer.isspace() else None


class AnsweringPolicy:
    """A policy whose finished paths carry their answers, for strategies that go by them.

    ``answers`` tells which of them are equal: those of this tree alone, unless it is given.
    """

    def __init__(
        self, policy: Policy, reader: AnswerReader, answers: Answers | None = None
    ) -> None:
        self.policy = policy
        self._reader = reader
        self._answers = answers or Answers(reader.same)

    async def extend(self, node: Node, n: int, sampling: Sampling) -> list[Node]:
        return await self._read(await self.policy.extend(node, n, sampling))

    async def _read(self, children: Sequence[Node]) -> list[Node]:
        return [
            replace(child, answer=await self._answers.read(await self._reader.answer(child)))
            if child.is_finished
            else child
            for child in children
        ]
