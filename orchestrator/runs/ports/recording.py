"""What a tree has grown so far, so that a search cut short still answers."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from orchestrator.core.node import Node
from orchestrator.core.ports import PRM, Policy, Sampling
from orchestrator.errors import EndpointError
from orchestrator.runs.ports.ends import Ends


@dataclass(slots=True)
class Recorder:
    """Remembers the furthest states of a tree, so that a search that is cut short has leaves.

    ``seen`` holds the nodes that nothing was grown from, by path; ``paid`` the tokens of policy and
    PRM that each node took; ``ends`` how its samples ended.
    """

    policy: Policy
    prm: PRM
    seen: dict[tuple[int, ...], Node] = field(default_factory=dict)
    paid: dict[tuple[int, ...], tuple[int, int]] = field(default_factory=dict)
    ends: Ends = field(default_factory=Ends)

    async def extend(self, node: Node, n: int, sampling: Sampling) -> list[Node]:
        try:
            children = await self.policy.extend(node, n, sampling)
        except EndpointError as failure:
            self.ends.failed(n, failure)
            raise
        self.ends.sampled(node, children, n)
        if children:
            self.seen.pop(node.sampled, None)
            self.seen.update((child.path, child) for child in children)
            self.paid.update((child.path, (child.step_tokens, 0)) for child in children)
        return children

    async def score(self, nodes: Sequence[Node]) -> list[Node]:
        try:
            scored = await self.prm.score(nodes)
        except EndpointError:
            self.ends.unscored(nodes)
            raise
        self.ends.scored(nodes, scored)
        self.seen.update((node.path, node) for node in scored if node.path in self.seen)
        self.paid.update((node.path, (node.step_tokens, node.prm_tokens)) for node in scored)
        return scored

    def leaves(self) -> list[Node]:
        """The nodes that nothing was grown from, by path."""
        return [self.seen[path] for path in sorted(self.seen)]

    def tokens_of(self, leaves: Sequence[Node]) -> tuple[int, int]:
        """Tokens of policy and PRM on the paths of ``leaves``, shared nodes once."""
        held = {leaf.path[:end] for leaf in leaves for end in range(1, len(leaf.path) + 1)}
        # forks and questions took nothing
        paid = [self.paid[path] for path in held if path in self.paid]
        return sum(policy for policy, _ in paid), sum(prm for _, prm in paid)
