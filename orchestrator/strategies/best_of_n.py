"""Best-of-N with a process reward model (paper §3.1)."""

from dataclasses import dataclass
from typing import ClassVar

from orchestrator.core.ports import PRM, Policy
from orchestrator.core.tree import Node
from orchestrator.strategies.settings import WholeSolutions


@dataclass(frozen=True, slots=True, kw_only=True)
class BestOfN(WholeSolutions):
    """Sample ``n`` whole solutions and score each, step by step."""

    uses_prm: ClassVar[bool] = True

    n: int = 16

    async def __call__(self, root: Node, policy: Policy, prm: PRM) -> list[Node]:
        return await prm.score(await policy.extend(root, self.n, self.sampling))
