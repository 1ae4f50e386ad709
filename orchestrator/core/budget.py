"""Budgets: what was spent, what may be spent, in nested scopes.

A run holds a scope for each tree. Spending is reserved before a request is sent and settled when
its answer's usage is known; both count against the scope and all its ancestors, so thousands of
trees cannot overdraw the run's budget between them.
"""

from dataclasses import dataclass, field, fields

from orchestrator.errors import BudgetExhausted


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """Amounts. ``policy_tokens`` are generated ones; prompts are counted once a request."""

    policy_tokens: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    prm_tokens: int = 0
    requests: int = 0

    def __add__(self, other: "Spend") -> "Spend":
        return Spend(
            **{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)}
        )

    def __sub__(self, other: "Spend") -> "Spend":
        return Spend(
            **{f.name: getattr(self, f.name) - getattr(other, f.name) for f in fields(self)}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most a scope may spend of each kind; None is no limit."""

    policy_tokens: int | None = None
    prm_tokens: int | None = None
    requests: int | None = None


@dataclass(slots=True)
class Ledger:
    """One scope: what it spent and reserved, within its limits and its parent's."""

    name: str = "run"
    limits: Limits = field(default_factory=Limits)
    parent: "Ledger | None" = None
    spent: Spend = field(default_factory=Spend)
    reserved: Spend = field(default_factory=Spend)

    def scope(self, name: str, limits: Limits | None = None) -> "Ledger":
        """A nested scope: what it spends counts here too."""
        return Ledger(name, limits or Limits(), self)

    def reserve(self, amount: Spend) -> None:
        """Set ``amount`` aside here and in every ancestor.

        Raises ``BudgetExhausted``, with nothing set aside, where some scope's limit is passed.
        """
        for ledger in self._lineage():
            ledger._check(amount)
        for ledger in self._lineage():
            ledger.reserved += amount

    def settle(self, reserved: Spend, actual: Spend) -> None:
        """Turn a reservation into what was really spent."""
        for ledger in self._lineage():
            ledger.reserved -= reserved
            ledger.spent += actual

    def _lineage(self) -> "list[Ledger]":
        return [self, *(self.parent._lineage() if self.parent else [])]

    def _check(self, amount: Spend) -> None:
        for f in fields(self.limits):
            allowed = getattr(self.limits, f.name)
            if allowed is None:
                continue
            used = getattr(self.spent, f.name) + getattr(self.reserved, f.name)
            if used + getattr(amount, f.name) > allowed:
                raise BudgetExhausted(f.name, allowed, self.name)
