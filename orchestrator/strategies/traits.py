"""What a run asks of a strategy beside its search, in one value with defaults.

A strategy is a class with ``n``, ``needs`` and one coroutine. One that has more to say gives itself
a property ``traits``; whoever wants to know reads ``traits(strategy)`` and never asks what class
it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from orchestrator.core.node import Node
from orchestrator.core.ports import Models, Sampling, Strategy
from orchestrator.core.rewards import Reward

if TYPE_CHECKING:
    from orchestrator.strategies.auto import Auto


class Incremental(Protocol):
    """A strategy that draws whole solutions in batches and can continue from earlier ones."""

    def is_enough(self, leaves: Sequence[Node]) -> bool:
        """Whether it draws no more after ``leaves``."""
        ...

    def next_batch(self, leaves: Sequence[Node], size: int) -> Self:
        """The strategy that draws one batch after ``leaves``, of ``size`` where it has no batch
        size of its own, and then ends."""
        ...

    async def go_on(self, root: Node, models: Models, drawn: Sequence[Node]) -> list[Node]:
        """Its leaves, the ones ``drawn`` from ``root`` before among them."""
        ...


@dataclass(frozen=True, slots=True)
class FirstDraw:
    """The ``count`` whole solutions that a strategy samples from the root at once, before it looks
    at any; strategies that draw in the same way share them."""

    sampling: Sampling
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What is known of a strategy before it runs. The defaults suit any search."""

    max_tokens: int | None = None
    """The most tokens of one sample, where it sets a bound."""

    max_depth: int = 1
    """The most samples along one path."""

    reward: Reward = "last"
    """Ranks the siblings that may stand in for a lost branch."""

    first_draw: FirstDraw | None = None

    incremental: Incremental | None = None
    """The strategy itself, where it can continue from solutions drawn before."""

    fallbacks: tuple[Strategy, ...] = ()
    """Searches that it may run after its own."""

    auto: "Auto | None" = None
    """Set where each problem's search is chosen by a routing instead."""


def traits(strategy: Strategy) -> Traits:
    """The traits of any strategy; the defaults where it names none."""
    found: Traits = getattr(strategy, "traits", Traits())
    return found
