"""Best-of-N with a process reward model (paper §3.1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from orchestrator.core.ports import PRM, Policy
from orchestrator.core.rewards import value
from orchestrator.core.tree import Node
from orchestrator.strategies.draw import draw
from orchestrator.strategies.settings import Voted


@dataclass(frozen=True, slots=True, kw_only=True)
class BestOfN(Voted):
    """Sample ``n`` whole solutions and score each, step by step.

    Where it may stop early, an answer's weight is the sum of its solutions' last scores.
    """

    uses_prm: ClassVar[bool] = True

    async def go_on(
        self, root: Node, policy: Policy, prm: PRM, drawn: Sequence[Node]
    ) -> list[Node]:
        return await draw(self, root, policy, prm, drawn)

    def weight(self, leaf: Node) -> float:
        return max(0.0, value(leaf.scores, "last"))
