"""One problem under ``strategy: auto``: pilots, a decision, and the strategy it came to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from orchestrator.core.fanout import fan_out
from orchestrator.core.ports import PRM, Policy, Sampling, Strategy
from orchestrator.core.tree import Node
from orchestrator.optimal.arms import Arm
from orchestrator.optimal.router import Decision, Router
from orchestrator.strategies import STRATEGIES
from orchestrator.strategies.settings import Voted


@dataclass(frozen=True, slots=True, kw_only=True)
class Routed:
    """The rest of a search, its pilots drawn: a strategy for one problem."""

    decision: Decision
    pilots: list[Node]

    async def __call__(self, root: Node, policy: Policy, prm: PRM) -> list[Node]:
        """The leaves that vote: the pilots and what the decided strategy adds."""
        if self.decision.arm.strategy == "cot":
            return self.pilots[:1]
        strategy = built(self.decision.arm)
        if isinstance(strategy, Voted):
            return await strategy.go_on(root, policy, prm, self.pilots)
        # a root of its own, which none of the pilots is named by
        return [*self.pilots, *await strategy(root.fork(len(self.pilots)), policy, prm)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """How the problems of a cell are routed; ``sampling`` is how whole solutions are drawn."""

    router: Router
    sampling: Sampling

    async def __call__(self, root: Node, policy: Policy, prm: PRM) -> Routed:
        """Draw and score the pilots, the greedy solution and ``router.pilots - 1`` others, and
        decide. Raises ``ProfileError`` where the router cannot read them."""
        greedy = Sampling(temperature=0.0, max_tokens=self.sampling.max_tokens, until="end")
        first, others = await fan_out(
            [
                policy.extend(root, 1, greedy),
                policy.extend(root.fork(1), self.router.pilots - 1, self.sampling),
            ]
        )
        pilots = await prm.score([*first, *others])
        return Routed(decision=self.router.decide(pilots), pilots=pilots)


def built(arm: Arm) -> Strategy:
    """The strategy of an arm. Raises ``pydantic.ValidationError`` for settings it does not take."""
    settings: Mapping[str, Any] = arm.settings
    strategy: Strategy = TypeAdapter(STRATEGIES[arm.strategy]).validate_python(dict(settings))
    return strategy
