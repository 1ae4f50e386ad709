"""Keeping a limit on the money a run pays: the wrappers next to the endpoint."""

from collections.abc import Sequence

from orchestrator.core.budget import Bill, Price
from orchestrator.core.node import Node
from orchestrator.core.ports import PRM, Policy, Sampling
from orchestrator.errors import EndpointError
from orchestrator.runs.ports.charges import failed_spend, policy_spend, prm_spend


class _Expected:
    """What a sample is expected to cost: the mean of those before it."""

    def __init__(self, price: Price, bill: Bill) -> None:
        self._first = price.cost(prompt_tokens=500, cached_tokens=0, written_tokens=500)
        self._bill = bill
        self._samples = 0
        self._paid = 0.0

    async def set_aside(self, samples: int) -> float:
        """Wait until the bill has room for so many samples, and return what they are expected to
        cost (USD). Raises ``BudgetExhausted``."""
        while True:
            expected = samples * (self._paid / self._samples if self._samples else self._first)
            if await self._bill.reserve(expected, guessed=not self._samples):
                return expected

    def learn(self, samples: int, paid: float) -> None:
        self._samples += samples
        self._paid += paid


class BilledPolicy:
    """Puts what its policy really charges on the bill."""

    def __init__(self, policy: Policy, price: Price, bill: Bill) -> None:
        self.policy = policy
        self._price, self._bill = price, bill
        self._expected = _Expected(price, bill)

    async def extend(self, node: Node, n: int, sampling: Sampling) -> list[Node]:
        expected, paid = await self._expected.set_aside(n), 0.0
        try:
            children = await self.policy.extend(node, n, sampling)
            paid = policy_spend(children, self._price).cost
            self._expected.learn(n, paid)
            return children
        except EndpointError as failure:
            paid = failed_spend(failure, self._price).cost
            raise
        finally:
            self._bill.settle(expected, paid)


class BilledPRM:
    """Puts what its PRM really charges on the bill."""

    def __init__(self, prm: PRM, price: Price, bill: Bill) -> None:
        self.prm = prm
        self._price, self._bill = price, bill
        self._expected = _Expected(price, bill)

    async def score(self, nodes: Sequence[Node]) -> list[Node]:
        expected, paid = await self._expected.set_aside(len(nodes)), 0.0
        try:
            scored = await self.prm.score(nodes)
            paid = prm_spend(scored, self._price).cost
            self._expected.learn(len(nodes), paid)
            return scored
        finally:
            self._bill.settle(expected, paid)
