"""Which answers mean the same: the classes that votes are cast for.

Equality of answers is not transitive: 1.00000 and 1.00018 are two answers until somebody says
1.00009, which is near to both. So two answers are of one class when a chain of equal ones leads
from one to the other. Such classes do not depend on who came first.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial

from orchestrator.core.node import Node, StatedAnswer
from orchestrator.core.problem import Problem
from orchestrator.core.task import Task

Same = Callable[[str, str], Awaitable[bool | None]]
"""Whether two answers to one problem mean the same; None: not decided."""

SameByProblem = Callable[[str], Same]
"""How the answers to a problem are compared, by its id."""


def comparing(task: Task, problems: Iterable[Problem]) -> SameByProblem:
    """How ``task`` compares the answers to each of ``problems``. Of any other problem it is told
    the id alone."""
    known = {problem.id: problem for problem in problems}

    def same(problem: str) -> Same:
        return partial(task.same, known.get(problem) or Problem(id=problem, question=""))

    return same


class Answers:
    """The answers of one problem that were read so far; each pair is compared once."""

    def __init__(self, same: Same) -> None:
        self._same = same
        self._read: dict[str, StatedAnswer] = {}
        self._compared: set[tuple[str, str]] = set()

    async def read(self, text: str | None) -> StatedAnswer | None:
        """An answer that knows which others it is equal to; None where there is none."""
        if text is None:
            return None
        answer = self._read.setdefault(text, StatedAnswer(text))
        for other in list(self._read.values()):
            # in one order, whoever came first: no task's asymmetry decides
            first, second = sorted((text, other.text))
            if first == second or (first, second) in self._compared:
                continue
            if await self._same(first, second):  # what was not decided joins nobody
                answer.equal.add(other.text)
                other.equal.add(text)
            self._compared.add((first, second))
        return answer


def components(answers: Sequence[StatedAnswer | None]) -> list[int | None]:
    """The class of each answer among these alone, numbered as they come here; None where there is
    no answer."""
    among = {answer.text: answer for answer in answers if answer is not None}
    classes: dict[str, int] = {}
    number = 0
    for text in among:
        if text in classes:
            continue
        reached = {text}
        while reached:
            each = reached.pop()
            classes[each] = number
            reached |= among[each].equal & (among.keys() - classes.keys())
        number += 1
    return [None if answer is None else classes[answer.text] for answer in answers]


def classes_of(leaves: Sequence[Node]) -> list[int | None]:
    """The class of each leaf's answer, in a tree whose answers are read. An answer that was read
    since may have joined two classes."""
    return components([leaf.answer for leaf in leaves])


async def classes(same: Same, answers: Sequence[str | None]) -> list[int | None]:
    """The equivalence class of each answer, numbered as they come; None where there is none."""
    seen = Answers(same)
    return components([await seen.read(answer) for answer in answers])
