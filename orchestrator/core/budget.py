"""Budgets: what was spent, what may be spent, in nested scopes.

A run holds a scope for each tree. Spending is reserved before a request is sent and settled when
its answer's usage is known; both count against the scope and all its ancestors, so thousands of
trees cannot overdraw the run's budget between them.
"""

from dataclasses import dataclass

from orchestrator.errors import BudgetExhausted


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """Amounts. ``policy_tokens`` are generated ones; prompts are counted once a request.

    ``cached_tokens`` of ``prompt_tokens``, and ``prm_cached_tokens`` of ``prm_tokens``, were in a
    prefix cache: the rest was computed.
    """

    policy_tokens: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    prm_tokens: int = 0
    prm_cached_tokens: int = 0
    requests: int = 0

    def __add__(self, other: "Spend") -> "Spend":
        return Spend(
            policy_tokens=self.policy_tokens + other.policy_tokens,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            prm_tokens=self.prm_tokens + other.prm_tokens,
            prm_cached_tokens=self.prm_cached_tokens + other.prm_cached_tokens,
            requests=self.requests + other.requests,
        )

    def __neg__(self) -> "Spend":
        return Spend(
            policy_tokens=-self.policy_tokens,
            prompt_tokens=-self.prompt_tokens,
            cached_tokens=-self.cached_tokens,
            prm_tokens=-self.prm_tokens,
            prm_cached_tokens=-self.prm_cached_tokens,
            requests=-self.requests,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most a scope may spend of each kind; None is no limit."""

    policy_tokens: int | None = None
    prm_tokens: int | None = None
    requests: int | None = None

    def first_exceeded(self, total: Spend) -> tuple[str, int] | None:
        """The name and size of a limit that ``total`` passes, if any."""
        for name, allowed, used in (
            ("policy_tokens", self.policy_tokens, total.policy_tokens),
            ("prm_tokens", self.prm_tokens, total.prm_tokens),
            ("requests", self.requests, total.requests),
        ):
            if allowed is not None and used > allowed:
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
            if ledger.limits == UNLIMITED:
                continue
            exceeded = ledger.limits.first_exceeded(ledger.spent + ledger.reserved + amount)
            if exceeded is not None:
                raise BudgetExhausted(*exceeded, ledger.name)
        for ledger in self._lineage:
            ledger.reserved += amount

    def settle(self, reserved: Spend, actual: Spend) -> None:
        """Turn a reservation into what was really spent."""
        returned = -reserved
        for ledger in self._lineage:
            ledger.reserved += returned
            ledger.spent += actual
