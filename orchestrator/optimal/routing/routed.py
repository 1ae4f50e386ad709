"""One problem under ``strategy: auto``: pilots, a decision, and the strategy it came to."""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Protocol

from orchestrator.core.fanout import fan_out
from orchestrator.core.node import Node
from orchestrator.core.ports import Models, Sampling, Strategy
from orchestrator.optimal.arms import Arm
from orchestrator.optimal.profile import Use
from orchestrator.optimal.routing.router import Decision, Router
from orchestrator.strategies.building import build
from orchestrator.strategies.traits import traits


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What a search may know of the tree it grows: what it ``used`` so far; and in ``aside`` it
    waits for its turn, while its clock stands still and others take its place. Earlier attempts
    had paid for ``reached`` leaves."""

    used: Callable[[], Use]
    aside: Callable[[], AbstractAsyncContextManager[None]]
    reached: int = 0


class Search(Protocol):
    """One problem's search; ``decision`` is None until its pilots are there."""

    decision: Decision | None

    async def __call__(self, root: Node, models: Models) -> list[Node]: ...


class Routing(Protocol):
    """How the problems of a cell are routed, by a ``deadline`` of the event loop's clock."""

    @property
    def deadline(self) -> float: ...

    @property
    def arms(self) -> Sequence[Arm]:
        """What they may come to."""
        ...

    @property
    def share(self) -> float | None:
        """How much of the cap that they share is used, from 0 to 1; None where they share none."""
        ...

    def open(self, problems: int, width: int, used: Use) -> None:
        """So many problems are to be run, ``width`` at a time; those before ``used`` so much."""
        ...

    def none_to_come(self) -> None:
        """No more of them will be begun."""
        ...

    def begin(self, attempt: Attempt) -> Search: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SeparateRouting:
    """Each problem by itself; ``sampling`` is how whole solutions are drawn."""

    router: Router
    sampling: Sampling
    deadline: float = math.inf
    share: None = None

    @property
    def arms(self) -> Sequence[Arm]:
        return self.router.arms

    def open(self, problems: int, width: int, used: Use) -> None:
        """They share nothing."""

    def none_to_come(self) -> None:
        """None waits for another."""

    def begin(self, attempt: Attempt) -> "RoutedSearch":
        return RoutedSearch(router=self.router, sampling=self.sampling)


@dataclass(slots=True, kw_only=True)
class RoutedSearch:
    """Pilots, the decision that they lead to, and the rest of the search."""

    router: Router
    sampling: Sampling
    decision: Decision | None = None

    async def __call__(self, root: Node, models: Models) -> list[Node]:
        """The leaves that vote: the pilots and what the decided strategy adds."""
        drawn = await pilots(root, models, self.router.pilots, self.sampling)
        if not drawn:
            return []
        self.decision = self.router.decide(drawn)
        if self.decision.arm.strategy == "cot":
            return drawn[:1]
        strategy = built(self.decision.arm)
        if incremental := traits(strategy).incremental:
            return await incremental.go_on(root, models, drawn)
        return [*drawn, *await strategy(root.next_fork(drawn), models)]


async def pilots(root: Node, models: Models, count: int, sampling: Sampling) -> list[Node]:
    """The greedy solution and ``count - 1`` others, scored; those of them that did not fail. Only
    the greedy one is asked how likely it was."""
    greedy = replace(sampling, temperature=0.0, top_p=1.0)
    first, others = await fan_out(
        [
            models.policy.extend(root, 1, greedy),
            models.policy.extend(root.fork(1), count - 1, replace(sampling, logprobs=False)),
        ]
    )
    drawn = [*first, *others]
    return await models.prm.score(drawn) or drawn


def built(arm: Arm) -> Strategy:
    """The strategy of an arm. Raises ``pydantic.ValidationError`` for settings it does not take."""
    return build(arm.strategy, arm.settings)
