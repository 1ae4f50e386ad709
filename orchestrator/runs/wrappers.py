"""What a run wraps around a port: metering and recording. Each a port that holds a port."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from orchestrator.core.budget import Ledger, Spend
from orchestrator.core.ports import PRM, Policy, Sampling
from orchestrator.core.tree import Node


@dataclass(slots=True)
class MeteredPolicy:
    """Charges a ledger for what its policy does.

    One token a sample is reserved in advance, so that an exhausted budget refuses the next
    request; a budget can be overdrawn by what is in flight when it runs out, and no more.
    """

    policy: Policy
    ledger: Ledger

    async def extend(self, node: Node, n: int, sampling: Sampling) -> list[Node]:
        reserved, actual = Spend(requests=1, policy_tokens=n), Spend()
        self.ledger.reserve(reserved)
        try:
            children = await self.policy.extend(node, n, sampling)
            actual = Spend(
                requests=1,
                policy_tokens=sum(child.step_tokens for child in children),
                prompt_tokens=children[0].prompt_tokens if children else 0,
                cached_tokens=children[0].cached_tokens if children else 0,
            )
            return children
        finally:
            self.ledger.settle(reserved, actual)


@dataclass(slots=True)
class MeteredPRM:
    """Charges a ledger for what its PRM reads."""

    prm: PRM
    ledger: Ledger

    async def score(self, nodes: Sequence[Node]) -> list[Node]:
        reserved, actual = Spend(requests=1, prm_tokens=len(nodes)), Spend()
        self.ledger.reserve(reserved)
        try:
            scored = await self.prm.score(nodes)
            actual = Spend(
                requests=1,
                prm_tokens=sum(node.prm_tokens for node in scored),
                prm_cached_tokens=sum(node.prm_cached_tokens for node in scored),
            )
            return scored
        finally:
            self.ledger.settle(reserved, actual)


@dataclass(slots=True)
class Recorder:
    """Remembers the furthest states of a tree, so that a search that is cut short can answer."""

    policy: Policy
    prm: PRM
    seen: dict[tuple[int, ...], Node] = field(default_factory=dict)

    async def extend(self, node: Node, n: int, sampling: Sampling) -> list[Node]:
        return self._remember(await self.policy.extend(node, n, sampling))

    async def score(self, nodes: Sequence[Node]) -> list[Node]:
        return self._remember(await self.prm.score(nodes))

    def _remember(self, nodes: list[Node]) -> list[Node]:
        self.seen.update((node.path, node) for node in nodes)
        return nodes

    def leaves(self) -> list[Node]:
        """The nodes nothing was grown from, by path: the answers of a search cut short."""
        inner = {path[:-1] for path in self.seen}
        return [self.seen[path] for path in sorted(self.seen.keys() - inner)]
