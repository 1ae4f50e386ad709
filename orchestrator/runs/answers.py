"""A policy whose finished paths say which answer they came to, for strategies that go by them."""

from collections.abc import Sequence
from dataclasses import replace

from orchestrator.core.equivalence import Answers
from orchestrator.core.node import Node
from orchestrator.core.ports import Grader, Policy, Sampling
from orchestrator.core.stated import stating


async def stated(grader: Grader, leaf: Node) -> str | None:
    """The answer that a path states, or None where it states none."""
    text = stating(leaf.text, leaf.finish)
    return await grader.extract(text) if text else None


class AnsweringPolicy:
    """Reads the answers of one tree's finished paths, and which of them are equal."""

    def __init__(self, policy: Policy, grader: Grader) -> None:
        self.policy = policy
        self._grader = grader
        self._answers = Answers(grader)

    async def extend(self, node: Node, n: int, sampling: Sampling) -> list[Node]:
        return await self._read(await self.policy.extend(node, n, sampling))

    async def _read(self, children: Sequence[Node]) -> list[Node]:
        return [
            replace(child, answer=await self._answers.read(await stated(self._grader, child)))
            if child.is_finished
            else child
            for child in children
        ]
