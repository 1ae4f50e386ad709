"""Majority voting, also known as self-consistency (Wang et al. 2022)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from orchestrator.core.ports import PRM, Policy
from orchestrator.core.tree import Node
from orchestrator.strategies.draw import draw
from orchestrator.strategies.settings import Voted


@dataclass(frozen=True, slots=True, kw_only=True)
class Majority(Voted):
    """Sample ``n`` whole solutions; their answers vote, unscored."""

    uses_prm: ClassVar[bool] = False

    async def go_on(
        self, root: Node, policy: Policy, prm: PRM, drawn: Sequence[Node]
    ) -> list[Node]:
        return await draw(self, root, policy, None, drawn)
