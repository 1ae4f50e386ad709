"""Budgets: what was spent and what may be spent, in nested scopes, and the money a run pays.

A run holds a scope for each tree. Spending is reserved before a request is sent and settled when
its answer's usage is known; both count against the scope and all its ancestors, so thousands of
trees cannot overdraw the run's budget between them.

A scope counts what its trees use, as if each ran alone. The bill counts what is really paid: what
several strategies share is paid once, what a journal remembers not again.
"""

import asyncio
from dataclasses import dataclass

from orchestrator.errors import BudgetExhausted


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a model charges, in USD per million tokens.

    Without ``cached_input``, cached tokens cost as much as others.
    """

    input: float
    output: float
    cached_input: float | None = None

    def cost(self, *, prompt_tokens: int, cached_tokens: int, written_tokens: int) -> float:
        """In USD; ``cached_tokens`` is the part of ``prompt_tokens`` that a prefix cache held."""
        cached = self.input if self.cached_input is None else self.cached_input
        return 1e-6 * (
            (prompt_tokens - cached_tokens) * self.input
            + cached_tokens * cached
            + written_tokens * self.output
        )


@dataclass(slots=True, kw_only=True)
class Spend:
    """What was spent.

    - ``policy_tokens`` were generated; ``prompt_tokens`` count once per request.
    - ``cached_tokens`` of ``prompt_tokens``, and ``prm_cached_tokens`` of ``prm_tokens``, were in a
      prefix cache; the rest was computed.
    - ``cost`` is in USD, of models that have a price.
    """

    policy_tokens: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    prm_tokens: int = 0
    prm_cached_tokens: int = 0
    requests: int = 0
    cost: float = 0.0

    @property
    def tokens(self) -> int:
        """Tokens of policy and PRM together."""
        return self.policy_tokens + self.prm_tokens

    def add(self, other: "Spend") -> None:
        """Add in place: a ledger does so several times a step."""
        self.policy_tokens += other.policy_tokens
        self.prompt_tokens += other.prompt_tokens
        self.cached_tokens += other.cached_tokens
        self.prm_tokens += other.prm_tokens
        self.prm_cached_tokens += other.prm_cached_tokens
        self.requests += other.requests
        self.cost += other.cost

    def subtract(self, other: "Spend") -> None:
        """Subtract in place."""
        self.policy_tokens -= other.policy_tokens
        self.prompt_tokens -= other.prompt_tokens
        self.cached_tokens -= other.cached_tokens
        self.prm_tokens -= other.prm_tokens
        self.prm_cached_tokens -= other.prm_cached_tokens
        self.requests -= other.requests
        self.cost -= other.cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most that a search, or a run, may spend; None is no limit.

    ``tokens`` are those of policy and PRM together, ``cost`` is in USD. ``seconds`` are enforced by
    whoever runs the search: a ledger has no clock.
    """

    tokens: int | None = None
    policy_tokens: int | None = None
    prm_tokens: int | None = None
    requests: int | None = None
    cost: float | None = None
    seconds: float | None = None

    def first_exceeded(self, *totals: Spend) -> tuple[str, float] | None:
        """The name and value of a limit that ``totals`` exceed together, if any."""
        for name in ("tokens", "policy_tokens", "prm_tokens", "requests", "cost"):
            allowed = getattr(self, name)
            if allowed is not None and sum(getattr(total, name) for total in totals) > allowed:
                return name, allowed
        return None


UNLIMITED = Limits()


class Ledger:
    """One scope: what it spent and reserved, within its limits and its ancestors'."""

    def __init__(
        self, name: str = "run", limits: Limits | None = None, parent: "Ledger | None" = None
    ) -> None:
        self.name = name
        self.limits = limits or UNLIMITED
        self.spent = Spend()
        self.reserved = Spend()
        self._lineage: tuple[Ledger, ...] = (self, *(parent._lineage if parent else ()))

    def scope(self, name: str, limits: Limits | None = None) -> "Ledger":
        """A nested scope: what it spends counts here too."""
        return Ledger(name, limits, self)

    def reserve(self, amount: Spend) -> None:
        """Set ``amount`` aside here and in every ancestor.

        Raises ``BudgetExhausted``, with nothing set aside, where some scope's limit is passed.
        """
        for ledger in self._lineage:
            if ledger.limits is UNLIMITED or ledger.limits == UNLIMITED:
                continue
            exceeded = ledger.limits.first_exceeded(ledger.spent, ledger.reserved, amount)
            if exceeded is not None:
                raise BudgetExhausted(*exceeded, ledger.name)
        for ledger in self._lineage:
            ledger.reserved.add(amount)

    def settle(self, reserved: Spend, actual: Spend) -> None:
        """Turn a reservation into what was really spent."""
        for ledger in self._lineage:
            ledger.reserved.subtract(reserved)
            ledger.spent.add(actual)


class Bill:
    """The money a run pays, in USD: ``paid`` so far, and no more than ``limit``.

    What is in flight is set aside at what it is expected to cost. A request that would fit but for
    those waits until they are settled, so that thousands of trees neither overdraw the limit nor
    leave a part of it unused.
    """

    def __init__(self, limit: float | None = None, paid: float = 0.0) -> None:
        self.limit = limit
        self.paid = paid
        self.reserved = 0.0
        self._in_flight = 0
        self._settled = asyncio.Event()

    async def reserve(self, expected: float, *, guessed: bool = False) -> bool:
        """Set ``expected`` aside, and return True.

        A guessed amount is sent alone at first, to learn from. Returns False, with nothing set
        aside, where a guess had to wait: what others paid meanwhile gives a better one. Raises
        ``BudgetExhausted`` where nothing in flight can make it fit: the limit is used up.
        """
        while self.limit is not None and self.paid + self.reserved + expected > self.limit:
            if not self._in_flight:
                if guessed and self.paid < self.limit:
                    break
                raise BudgetExhausted("cost", self.limit, "run")
            self._settled.clear()
            await self._settled.wait()
            if guessed:
                return False
        self.reserved += expected
        self._in_flight += 1
        return True

    def settle(self, expected: float, actual: float) -> None:
        """Turn what was set aside into what was really paid."""
        self._in_flight -= 1
        self.reserved = self.reserved - expected if self._in_flight else 0.0
        self.paid += actual
        self._settled.set()
