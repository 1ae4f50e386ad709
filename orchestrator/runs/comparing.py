"""A grader that counts the comparisons it could not decide, one for each tree."""

from collections.abc import Iterable

from orchestrator.core.ports import Grader


class CountingGrader:
    """Keeps each ``undecided`` pair of answers once, however often the tree asks about it, beside
    those that were undecided before."""

    def __init__(self, grader: Grader, before: Iterable[frozenset[str]] = ()) -> None:
        self._grader = grader
        self.undecided = set(before)

    async def extract(self, text: str) -> str | None:
        return await self._grader.extract(text)

    async def equal(self, answer: str, reference: str) -> bool | None:
        verdict = await self._grader.equal(answer, reference)
        if verdict is None:
            self.undecided.add(frozenset((answer, reference)))
        return verdict
