"""All tries of one request: which replicas had it, and what a failure of one says."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeAlias

from orchestrator.core.node import Node
from orchestrator.endpoints.admission.dispatcher import Dispatcher
from orchestrator.endpoints.admission.queues import Slot
from orchestrator.endpoints.admission.replicas import Replica
from orchestrator.endpoints.http.retry import WORTH_RETRYING
from orchestrator.endpoints.transport.evidence import Doubts, Evidence
from orchestrator.endpoints.transport.hedging import Stragglers, hedged
from orchestrator.endpoints.transport.requests import Request
from orchestrator.errors import (
    BadResponse,
    EndpointError,
    EndpointRefused,
    EndpointUnavailable,
    TooManyOpenFiles,
)

Exchange: TypeAlias = Callable[[Slot, Request], Coroutine[Any, Any, Any]]
"""One request to one replica, which releases the slot. Raises ``EndpointError``."""


@dataclass(slots=True)
class Tries:
    """One request for ``node``. ``goes_elsewhere``: what one replica refuses, another may be asked.
    Replicas that it was ``tried`` on are the last to be tried again; ``doubts`` is what may be its
    own fault."""

    request: Request
    node: Node | None
    dispatcher: Dispatcher
    evidence: Evidence
    exchange: Exchange
    stragglers: Stragglers | None
    goes_elsewhere: bool
    tried: tuple[Replica, ...] = ()
    doubts: Doubts | None = None

    async def attempt(self) -> Any:
        """One try, hedged where it takes unusually long. Raises ``EndpointError``."""
        slot = await self._admitted(self.tried)
        try:
            exchange = self.exchange(slot, self.request)
            if self.stragglers is None or self.stragglers.after is None:
                wanted = await exchange
            else:
                wanted = await hedged(exchange, self._again(slot), self.stragglers.after)
        except EndpointRefused as refused:
            raise await self._refused(refused, slot.replica) from refused.__cause__
        except WORTH_RETRYING as failure:
            raise await self._failed(failure, slot.replica) from failure.__cause__
        if self.doubts is not None:
            self.evidence.recovered(self.doubts, slot.replica)
        return wanted

    async def _admitted(self, tried: tuple[Replica, ...]) -> Slot:
        rates = self.dispatcher.rates
        estimate = self.request.estimate(rates) if rates.are_any else None
        return await self.dispatcher.admit(self.node, estimate, tried)

    def _again(self, slot: Slot) -> Callable[[], Coroutine[Any, Any, Any] | None]:
        """The same request to another replica, as far as the retry budget goes."""

        async def elsewhere() -> Any:
            other = await self._admitted((*self.tried, slot.replica))
            return await self.exchange(other, self.request)

        return lambda: elsewhere() if self.dispatcher.retry_budget.try_take() else None

    async def _refused(self, refused: EndpointRefused, by: Replica) -> EndpointError:
        """What a refusal comes to: another try where another replica may take the request."""
        if refused.says is not None and self._has_better(by):
            self.tried = (*self.tried, by)
            return BadResponse(refused.message, url=refused.url)
        return await self.evidence.judge_refusal(refused, self.request, by)

    async def _failed(
        self, failure: EndpointUnavailable | BadResponse, at: Replica
    ) -> EndpointError:
        """What a failure comes to, as it is to be retried."""
        dispatcher = self.dispatcher
        if not isinstance(failure, TooManyOpenFiles):
            self.tried = (*self.tried, at)
        if isinstance(failure, EndpointUnavailable) and failure.status == 429:
            if (limit := dispatcher.rate_limit()) is not None:
                return limit
            if dispatcher.takes_elsewhere(at):
                failure.retry_after = None  # it is this replica alone that is left alone
            return failure
        if failure.is_final and any(each not in self.tried for each in dispatcher.replicas):
            failure.is_final = False  # another replica may do better
        if not failure.is_doubtful or failure.is_final:
            return failure
        self.doubts = self.doubts or Doubts()
        return await self.evidence.judge_failure(failure, self.doubts, self.request, at)

    def _has_better(self, refusing: Replica) -> bool:
        """Whether there is a replica left to ask for what one refuses, at an endpoint that works:
        where nothing was ever answered, it is refused for all."""
        replicas = self.dispatcher.replicas
        return (
            self.goes_elsewhere
            and refusing not in self.tried
            and any(each.answers for each in replicas)
            and any(each is not refusing and each not in self.tried for each in replicas)
        )
