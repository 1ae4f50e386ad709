"""Counting what a run really sends."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.core.budget import Spend
from orchestrator.core.node import Node
from orchestrator.core.ports import PRM, Policy, Sampling
from orchestrator.errors import EndpointError
from orchestrator.runs.ports.charges import failed_spend, policy_spend, prm_spend


@dataclass(slots=True)
class CountedPolicy:
    """Adds up in ``spent`` what is really sent to its policy, below sharing and journal."""

    policy: Policy
    spent: Spend

    async def extend(self, node: Node, n: int, sampling: Sampling) -> list[Node]:
        try:
            children = await self.policy.extend(node, n, sampling)
        except EndpointError as failure:
            self.spent.add(failed_spend(failure))
            raise
        self.spent.add(policy_spend(children))
        return children


@dataclass(slots=True)
class CountedPRM:
    """Adds up in ``spent`` what is really sent to its PRM, below sharing and journal."""

    prm: PRM
    spent: Spend

    async def score(self, nodes: Sequence[Node]) -> list[Node]:
        scored = await self.prm.score(nodes)
        self.spent.add(prm_spend(scored))
        return scored
