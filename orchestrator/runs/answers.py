"""A policy whose finished paths say which answer they came to, for strategies that go by them."""

from collections.abc import Sequence
from dataclasses import replace

from orchestrator.core.equivalence import Classes
from orchestrator.core.ports import Grader, Policy, Sampling
from orchestrator.core.tree import Node


class AnsweringPolicy:
    """Numbers the answers of one tree's finished paths, equal ones alike."""

    def __init__(self, policy: Policy, grader: Grader) -> None:
        self.policy = policy
        self._grader = grader
        self._classes = Classes(grader)

    async def extend(self, node: Node, n: int, sampling: Sampling) -> list[Node]:
        return await self._read(await self.policy.extend(node, n, sampling))

    async def _read(self, children: Sequence[Node]) -> list[Node]:
        return [
            replace(child, answer=await self._classes.of(await self._grader.extract(child.text)))
            if child.is_finished
            else child
            for child in children
        ]
