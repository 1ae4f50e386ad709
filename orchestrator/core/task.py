"""The port of a task: how its answers are asked for, read, compared and graded."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from orchestrator.core.problem import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """What a prompt says of the task. The model family's prompt puts it in words of its own.

    ``form`` says how the final answer is to be stated and goes on after "put your final answer",
    such as ``within \\boxed{}``. ``subject`` is the kind of problem ("math"). ``conclusion`` shows
    the last lines of a solution, for prompts that spell them out.
    """

    form: str = ""
    subject: str = ""
    conclusion: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """What a solution is worth.

    ``answer`` is the one it states, None where it states none, which is never ``correct``.
    ``correct`` is None where that was not decided: such a solution counts as undecided, and not as
    a wrong one. ``sound`` says whether every step is right; None where the task cannot tell.
    """

    answer: str | None
    correct: bool | None
    sound: bool | None = None


class Task(Protocol):
    """What is asked, and when an answer is right.

    A class that derives from ``Task`` needs ``extract`` and ``same`` only. One that holds
    resources, such as processes, may be an async context manager besides: it is entered before
    its first question.
    """

    @property
    def instruction(self) -> Instruction:
        """What a prompt says of the task; the bare question where it is left out."""
        return Instruction()

    async def extract(self, problem: Problem, text: str) -> str | None:
        """The answer that a solution states, or None where it states none."""
        ...

    async def same(self, problem: Problem, a: str, b: str) -> bool | None:
        """Whether two answers to ``problem`` mean the same, in either order; None: not decided.

        None is no "no": such a pair is counted, and neither answer is held to be wrong.
        """
        ...

    async def grade(self, problem: Problem, text: str) -> Grade:
        """What a solution is worth: right where its answer is the ``same`` as the reference."""
        answer = await self.extract(problem, text)
        if answer is None:
            return Grade(answer=None, correct=False)
        if problem.answer is None:
            return Grade(answer=answer, correct=None)
        return Grade(answer=answer, correct=await self.same(problem, answer, problem.answer))

    def is_complete(self, step: str) -> bool:
        """Whether a text states the final answer in so many words, so that no step is to follow it
        and that it counts even in a solution that was cut off. False where that is left out: then
        a solution ends where the model ends it."""
        return False


@asynccontextmanager
async def opened(task: Task) -> AsyncIterator[Task]:
    """``task`` for as long as the block lasts, entered where it is a context manager."""
    async with AsyncExitStack() as stack:
        if isinstance(task, AbstractAsyncContextManager):
            await stack.enter_async_context(task)
        yield task
