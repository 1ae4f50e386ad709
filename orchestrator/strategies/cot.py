"""Chain of thought: one greedy solution, no search."""

from dataclasses import dataclass
from typing import ClassVar

from orchestrator.core.node import Node
from orchestrator.core.ports import Models
from orchestrator.strategies.settings import WholeSolutions


@dataclass(frozen=True, slots=True, kw_only=True)
class CoT(WholeSolutions):
    """Answer once, greedily: the baseline every gain is measured against."""

    label: ClassVar[str] = "CoT"

    temperature: float = 0.0

    @property
    def n(self) -> int:
        return 1

    async def __call__(self, root: Node, models: Models) -> list[Node]:
        return await models.policy.extend(root, 1, self.sampling)
