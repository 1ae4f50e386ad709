"""Best-of-N with a process reward model (paper §3.1)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

from orchestrator.core.node import Node
from orchestrator.core.ports import Models, Strategy
from orchestrator.core.voting import Vote, Weighted
from orchestrator.errors import ConfigError
from orchestrator.strategies.fallback import Fallback
from orchestrator.strategies.sampling import RepeatedSampling


@dataclass(frozen=True, slots=True, kw_only=True)
class BestOfN(RepeatedSampling):
    """Sample ``n`` whole solutions and score each, step by step.

    Where it may stop early, an answer's weight is the sum of its solutions' last scores. If that
    vote is still undecided after ``n`` samples, ``then`` falls back to a tree search, whose answers
    vote with the others.

    Raises ``ConfigError`` where nothing says when to fall back.
    """

    label: ClassVar[str] = "best-of-N"
    is_scored: ClassVar[bool] = True
    vote: ClassVar[Vote] = Weighted("last")

    then: Fallback | None = None

    def __post_init__(self) -> None:
        RepeatedSampling.__post_init__(self)
        if self.then and (self.stop is None or self.stop.rule == "certain"):
            raise ConfigError(
                "`then` needs a `stop` with a confidence, for example {rule: beta, confidence: "
                "0.9}: it runs when the vote stays below that",
                ("then",),
            )

    @property
    def fallbacks(self) -> tuple[Strategy, ...]:
        return (self.then.search,) if self.then else ()

    def next_batch(self, leaves: Sequence[Node], size: int) -> Self:
        return RepeatedSampling.next_batch(replace(self, then=None), leaves, size)

    async def go_on(self, root: Node, models: Models, drawn: Sequence[Node]) -> list[Node]:
        # by name: a class with slots is made anew, and super() looks for the old one
        leaves = await RepeatedSampling.go_on(self, root, models, drawn)
        if self.then and self.is_unsure(leaves):
            leaves += await self.then.search(root.next_fork(leaves), models)
        return leaves
