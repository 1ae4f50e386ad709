"""Majority voting, also known as self-consistency (Wang et al. 2022)."""

from dataclasses import dataclass
from typing import ClassVar

from orchestrator.core.ports import PRM, Policy
from orchestrator.core.tree import Node
from orchestrator.strategies.settings import WholeSolutions


@dataclass(frozen=True, slots=True, kw_only=True)
class Majority(WholeSolutions):
    """Sample ``n`` whole solutions; their answers vote, unscored."""

    uses_prm: ClassVar[bool] = False

    n: int = 16

    async def __call__(self, root: Node, policy: Policy, prm: PRM) -> list[Node]:
        return await policy.extend(root, self.n, self.sampling)
