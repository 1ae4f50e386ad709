"""One problem under ``strategy: auto``: draw pilots, choose an arm, run its strategy."""

import math
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Protocol

from orchestrator.core.fanout import fan_out
from orchestrator.core.node import Node
from orchestrator.core.ports import Models, Sampling, Strategy
from orchestrator.optimal.arms import Arm
from orchestrator.optimal.difficulty.evidence import LOGPROBS, QUESTION_LOGPROB
from orchestrator.optimal.profile import Use
from orchestrator.optimal.routing.router import Decision, Router
from orchestrator.strategies.building import build
from orchestrator.strategies.traits import traits


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt at a problem: what it ``used`` so far, and how many leaves earlier attempts
    ``reached``. While the search waits inside ``aside()``, its clock is stopped and another tree
    may take its slot."""

    used: Callable[[], Use]
    aside: Callable[[], AbstractAsyncContextManager[None]]
    reached: int = 0


class Search(Protocol):
    """One problem's search; ``decision`` is None until its pilots are drawn."""

    decision: Decision | None

    async def __call__(self, root: Node, models: Models) -> list[Node]: ...


class Routing(Protocol):
    """Routes the problems of a cell; ``deadline`` is by the event loop's clock."""

    @property
    def deadline(self) -> float: ...

    @property
    def arms(self) -> Sequence[Arm]:
        """The arms that a problem may be routed to."""
        ...

    @property
    def share(self) -> float | None:
        """The used part of a shared cap, from 0 to 1; None without a shared cap."""
        ...

    def open(self, problems: int, width: int, used: Use) -> None:
        """Called before ``problems`` are run, ``width`` at a time. ``used`` is the total use of
        earlier ones."""
        ...

    def all_started(self) -> None:
        """Called when no further problem will start."""
        ...

    def begin(self, attempt: Attempt) -> Search: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SeparateRouting:
    """Routes each problem by itself; ``sampling`` is used for pilots."""

    router: Router
    sampling: Sampling
    deadline: float = math.inf
    share: None = None

    @property
    def arms(self) -> Sequence[Arm]:
        return self.router.arms

    def open(self, problems: int, width: int, used: Use) -> None:
        """Nothing to do: problems share no cap."""

    def all_started(self) -> None:
        """Nothing to do: no problem waits for another."""

    def begin(self, attempt: Attempt) -> "RoutedSearch":
        return RoutedSearch(router=self.router, sampling=self.sampling)


@dataclass(slots=True, kw_only=True)
class RoutedSearch:
    """Draw pilots, choose an arm by them, and run its strategy."""

    router: Router
    sampling: Sampling
    decision: Decision | None = None

    async def __call__(self, root: Node, models: Models) -> list[Node]:
        """The leaves that vote: the pilots, and those of the chosen strategy."""
        count, reads = self.router.pilots, self.router.reads
        drawn = await pilots(root, models, count, self.sampling, reads=reads)
        if not drawn:
            return []
        self.decision = self.router.decide(drawn)
        return await go_on(self.decision.arm, root, models, drawn)


async def go_on(arm: Arm, root: Node, models: Models, pilots: Sequence[Node]) -> list[Node]:
    """The leaves of an arm, which goes on from ``pilots``, the greedy one first."""
    if arm.strategy == "cot":
        return list(pilots[:1])
    strategy = strategy_of(arm)
    if incremental := traits(strategy).incremental:
        return await incremental.go_on(root, models, pilots)
    return [*pilots, *await strategy(root.next_fork(pilots), models)]


async def pilots(
    root: Node,
    models: Models,
    count: int,
    sampling: Sampling,
    *,
    reads: Collection[str] = (),
) -> list[Node]:
    """Draw and score the greedy solution and ``count - 1`` samples. Failed ones are missing.

    The greedy one also brings the log-probabilities of the features that a predictor ``reads``.
    """
    first, others = await fan_out(
        [
            models.policy.extend(root, 1, greedy(sampling, reads)),
            models.policy.extend(root.fork(1), count - 1, sampling),
        ]
    )
    drawn = [*first, *others]
    return await models.prm.score(drawn) or drawn


def greedy(sampling: Sampling, reads: Collection[str]) -> Sampling:
    """How the greedy solution is drawn, with the log-probabilities of the features that a predictor
    ``reads``."""
    return replace(
        sampling,
        temperature=0.0,
        top_p=1.0,
        logprobs=sampling.logprobs or not LOGPROBS.isdisjoint(reads),
        question_logprob=QUESTION_LOGPROB in reads,
    )


def strategy_of(arm: Arm) -> Strategy:
    """The strategy of an arm. Raises ``pydantic.ValidationError`` for settings it does not take."""
    return build(arm.strategy, arm.settings)
