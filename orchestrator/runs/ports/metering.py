"""Charging one tree: ports that hold a port and a ledger, or a stopwatch."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.core.budget import Ledger, Price, Spend
from orchestrator.core.node import Node
from orchestrator.core.ports import PRM, Policy, Sampling
from orchestrator.errors import EndpointError
from orchestrator.runs.clock import Stopwatch
from orchestrator.runs.ports.charges import failed_spend, policy_spend, prm_spend


@dataclass(slots=True)
class MeteredPolicy:
    """Charges a ledger for what its policy does.

    One token per sample is reserved in advance, so that an exhausted budget refuses the next
    request: a budget is overdrawn by what is in flight when it runs out, and no more. With
    ``one_per_request`` each sample is expected to be a request.
    """

    policy: Policy
    ledger: Ledger
    price: Price | None = None
    one_per_request: bool = False

    async def extend(self, node: Node, n: int, sampling: Sampling) -> list[Node]:
        requests = n if self.one_per_request else 1
        reserved, actual = Spend(requests=requests, policy_tokens=n), Spend()
        self.ledger.reserve(reserved)
        try:
            children = await self.policy.extend(node, n, sampling)
            actual = policy_spend(children, self.price)
            return children
        except EndpointError as failure:
            actual = failed_spend(failure, self.price)
            raise
        finally:
            self.ledger.settle(reserved, actual)


@dataclass(frozen=True, slots=True)
class TimedPolicy:
    """Keeps the time in which a request to its policy is under way."""

    policy: Policy
    watch: Stopwatch

    async def extend(self, node: Node, n: int, sampling: Sampling) -> list[Node]:
        with self.watch.running():
            return await self.policy.extend(node, n, sampling)


@dataclass(frozen=True, slots=True)
class TimedPRM:
    """Keeps the time in which a request to its PRM is under way."""

    prm: PRM
    watch: Stopwatch

    async def score(self, nodes: Sequence[Node]) -> list[Node]:
        with self.watch.running():
            return await self.prm.score(nodes)


@dataclass(slots=True)
class MeteredPRM:
    """Charges a ledger for what its PRM reads."""

    prm: PRM
    ledger: Ledger
    price: Price | None = None

    async def score(self, nodes: Sequence[Node]) -> list[Node]:
        reserved, actual = Spend(requests=1, prm_tokens=len(nodes)), Spend()
        self.ledger.reserve(reserved)
        try:
            scored = await self.prm.score(nodes)
            actual = prm_spend(scored, self.price)
            return scored
        finally:
            self.ledger.settle(reserved, actual)
