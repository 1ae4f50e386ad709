"""A policy whose finished paths say which answer they came to, for strategies that go by them."""

from collections.abc import Sequence
from dataclasses import replace

from orchestrator.core.equivalence import Answers
from orchestrator.core.ports import Grader, Policy, Sampling
from orchestrator.core.tree import Node


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
            replace(child, answer=await self._answers.read(await self._grader.extract(child.text)))
            if child.is_finished
            else child
            for child in children
        ]
