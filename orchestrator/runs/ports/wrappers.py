"""What a run wraps around a port: metering and recording. Each a port that holds a port."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from orchestrator.core.budget import Bill, Ledger, Price, Spend
from orchestrator.core.node import Node
from orchestrator.core.ports import PRM, Policy, Sampling
from orchestrator.errors import EndpointError
from orchestrator.runs.ports.ends import Ends


@dataclass(slots=True)
class MeteredPolicy:
    """Charges a ledger for what its policy does.

    One token a sample is reserved in advance, so that an exhausted budget refuses the next
    request; a budget can be overdrawn by what is in flight when it runs out, and no more. A policy
    with ``one_a_request`` is expected to send as many requests as samples.
    """

    policy: Policy
    ledger: Ledger
    price: Price | None = None
    one_a_request: bool = False

    async def extend(self, node: Node, n: int, sampling: Sampling) -> list[Node]:
        requests = n if self.one_a_request else 1
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


def policy_spend(children: Sequence[Node], price: Price | None = None) -> Spend:
    """What sampling ``children`` of one node took: the tokens of each, its part of those that were
    lost included, and of every request that they came from, be it one for all or one for each, the
    prompt once."""
    requests = {child.request: child for child in children}.values()
    spend = Spend(
        requests=len(requests),
        policy_tokens=sum(child.step_tokens + child.lost_tokens for child in children),
        prompt_tokens=sum(request.prompt_tokens for request in requests),
        cached_tokens=sum(request.cached_tokens for request in requests),
    )
    return _priced(spend, price)


def failed_spend(failure: EndpointError, price: Price | None = None) -> Spend:
    """What a policy's request took that came to nothing: answers that could not be used."""
    spend = Spend(
        requests=int(failure.prompt_tokens + failure.written_tokens > 0),
        policy_tokens=failure.written_tokens,
        prompt_tokens=failure.prompt_tokens,
        cached_tokens=failure.cached_tokens,
    )
    return _priced(spend, price)


def _priced(spend: Spend, price: Price | None) -> Spend:
    """What a policy was asked for, with what that costs."""
    if price is not None:
        spend.cost = price.cost(
            prompt_tokens=spend.prompt_tokens,
            cached_tokens=spend.cached_tokens,
            written_tokens=spend.policy_tokens,
        )
    return spend


def prm_spend(scored: Sequence[Node], price: Price | None = None) -> Spend:
    """What scoring ``scored`` in one request took."""
    spend = Spend(
        requests=1,
        prm_tokens=sum(node.prm_tokens for node in scored),
        prm_cached_tokens=sum(node.prm_cached_tokens for node in scored),
    )
    if price is not None:
        written = sum(node.prm_written_tokens for node in scored)
        spend.cost = price.cost(
            prompt_tokens=spend.prm_tokens - written,
            cached_tokens=spend.prm_cached_tokens,
            written_tokens=written,
        )
    return spend


@dataclass(slots=True)
class CountedPolicy:
    """Adds up in ``spent`` what its policy is really asked for: beneath what is shared, and beneath
    the journal."""

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
    """Adds up in ``spent`` what its PRM is really asked for, as ``CountedPolicy`` does."""

    prm: PRM
    spent: Spend

    async def score(self, nodes: Sequence[Node]) -> list[Node]:
        scored = await self.prm.score(nodes)
        self.spent.add(prm_spend(scored))
        return scored


class _Expected:
    """What a sample costs, so far as one can tell beforehand: the mean of those before it."""

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
    """Puts on the bill what its policy charges for what is really sent: the innermost wrapper."""

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
    """Puts on the bill what its PRM charges for what is really sent: the innermost wrapper."""

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


@dataclass(slots=True)
class Recorder:
    """Remembers the furthest states of a tree, so that a search that is cut short can answer.

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
        """Those nodes by path: the answers of a search cut short."""
        return [self.seen[path] for path in sorted(self.seen)]

    def kept(self, leaves: Sequence[Node]) -> tuple[int, int]:
        """The tokens of policy and PRM that the paths of ``leaves`` took, shared nodes once."""
        held = {leaf.path[:end] for leaf in leaves for end in range(1, len(leaf.path) + 1)}
        paid = [
            self.paid[path] for path in held if path in self.paid
        ]  # forks and questions took nothing
        return sum(policy for policy, _ in paid), sum(prm for _, prm in paid)
