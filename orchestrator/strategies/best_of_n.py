"""Best-of-N with a process reward model (paper §3.1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from orchestrator.core.node import Node
from orchestrator.core.ports import PRM, Policy
from orchestrator.core.voting import VoteName
from orchestrator.errors import ConfigError
from orchestrator.strategies.then import Then
from orchestrator.strategies.voted import Voted, is_unsure


@dataclass(frozen=True, slots=True, kw_only=True)
class BestOfN(Voted):
    """Sample ``n`` whole solutions and score each, step by step.

    Where it may stop early, an answer's weight is the sum of its solutions' last scores. Where all
    ``n`` leave that vote unsettled, ``then`` goes on, and its answers vote with the others.

    Raises ``ConfigError`` where nothing says when to go on.
    """

    uses_prm: ClassVar[bool] = True
    vote: ClassVar[VoteName] = "weighted_last"

    then: Then | None = None

    def __post_init__(self) -> None:
        Voted.__post_init__(self)
        if self.then and (self.stop is None or self.stop.rule == "certain"):
            raise ConfigError(
                "`then` follows a vote that is not sure enough: it needs a `stop` with a "
                "confidence, for example {rule: beta, confidence: 0.9}",
                ("then",),
            )

    async def go_on(
        self, root: Node, policy: Policy, prm: PRM, drawn: Sequence[Node]
    ) -> list[Node]:
        # Voted is named: a class with slots is made anew, and super() would look for the old one
        leaves = await Voted.go_on(self, root, policy, prm, drawn)
        if self.then and is_unsure(self, leaves):
            leaves += await self.then.search(root.next_fork(leaves), policy, prm)
        return leaves
