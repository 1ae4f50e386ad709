"""Which answers mean the same: the classes that votes are cast for."""

from collections.abc import Sequence

from orchestrator.core.ports import Grader


class Classes:
    """The classes of the answers seen so far, numbered as first seen.

    Each distinct answer is compared with the first member of each class only.
    """

    def __init__(self, grader: Grader) -> None:
        self._grader = grader
        self._representatives: list[str] = []
        self._found: dict[str, int] = {}

    async def of(self, answer: str | None) -> int | None:
        """The class of an answer; None where there is none."""
        if answer is None:
            return None
        if answer not in self._found:
            self._found[answer] = await self._place(answer)
        return self._found[answer]

    async def _place(self, answer: str) -> int:
        for number, representative in enumerate(self._representatives):
            if await self._grader.equal(answer, representative):
                return number
        self._representatives.append(answer)
        return len(self._representatives) - 1


async def classes(grader: Grader, answers: Sequence[str | None]) -> list[int | None]:
    """The equivalence class of each answer; None where there is no answer."""
    seen = Classes(grader)
    return [await seen.of(answer) for answer in answers]
