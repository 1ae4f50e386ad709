"""Which answers mean the same: the classes that votes are cast for."""

from collections.abc import Sequence

from orchestrator.core.ports import Grader


async def classes(grader: Grader, answers: Sequence[str | None]) -> list[int | None]:
    """The equivalence class of each answer, numbered as first seen; None where there is no answer.

    Each distinct answer is compared with the first member of each class only.
    """
    representatives: list[str] = []
    found: dict[str, int] = {}
    for answer in answers:
        if answer is None or answer in found:
            continue
        found[answer] = len(representatives)
        for index, representative in enumerate(representatives):
            if await grader.equal(answer, representative):
                found[answer] = index
                break
        else:
            representatives.append(answer)
    return [None if answer is None else found[answer] for answer in answers]
