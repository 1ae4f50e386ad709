"""A grader that counts the comparisons it could not decide, one for each tree."""

from orchestrator.core.ports import Grader


class CountingGrader:
    """Counts each undecided pair once, however often the tree asks about it."""

    def __init__(self, grader: Grader) -> None:
        self._grader = grader
        self._undecided: set[frozenset[str]] = set()

    @property
    def undecided(self) -> int:
        """How many pairs of answers were not decided."""
        return len(self._undecided)

    async def extract(self, text: str) -> str | None:
        return await self._grader.extract(text)

    async def equal(self, answer: str, reference: str) -> bool | None:
        verdict = await self._grader.equal(answer, reference)
        if verdict is None:
            self._undecided.add(frozenset((answer, reference)))
        return verdict
