"""What an endpoint's replicas are seen to do, and what follows for the requests that wait.

One dispatcher an endpoint. Which request goes when, and to which replica, is in ``queues``.
"""

import asyncio
import logging
import math
from collections.abc import Coroutine, Mapping, Sequence
from functools import partial
from typing import Any

from orchestrator.core.node import Node
from orchestrator.endpoints.admission import waits
from orchestrator.endpoints.admission.adaptive_limit import LoopLag
from orchestrator.endpoints.admission.queues import Queues, Slot
from orchestrator.endpoints.admission.rate_limits import RateLimits, TokenEstimate
from orchestrator.endpoints.admission.replicas import Replica, Replicas
from orchestrator.endpoints.admission.status import Status
from orchestrator.endpoints.http.open_files import OPEN_FILES, OpenFiles
from orchestrator.endpoints.http.retry import RetryBudget
from orchestrator.errors import (
    BadResponse,
    EndpointError,
    EndpointUnavailable,
    RateLimited,
    TooManyOpenFiles,
)

LOG = logging.getLogger(__name__)


class Dispatcher:
    """Admits requests to the replicas at ``bases`` of ``model``.

    At most ``cap`` are in flight, and no more than the process has ``files`` for. Where no replica
    answers, requests wait for ``patience`` seconds and fail then; without patience they are sent
    all the same, and fail as they may. A replica that asks to wait is left alone for so long. Where
    all have a rate limit that ends later than in ``longest_pause`` seconds, requests fail at once:
    none is sent to see whether it is so.
    """

    def __init__(
        self,
        model: str,
        bases: Sequence[str],
        *,
        cap: int | None = None,
        rates: RateLimits | None = None,
        patience: float = 0.0,
        longest_pause: float = 120.0,
        files: OpenFiles = OPEN_FILES,
    ) -> None:
        self.model = model
        self.replicas = Replicas(bases)
        self.rates = rates or RateLimits(None, None)
        self.retry_budget = RetryBudget()
        self.begun = 0
        """Requests that are not over, those that are to be tried again included."""
        self.answered_at = -math.inf
        self._files = files
        self._queues = Queues(
            model,
            self.replicas,
            self.rates,
            cap=cap,
            patience=patience,
            longest_pause=longest_pause,
            files=files,
        )

    @property
    def in_flight(self) -> int:
        return self._queues.in_flight

    @property
    def lag(self) -> LoopLag:
        return self._queues.lag

    def set_patience(self, patience: float, longest_pause: float) -> None:
        """From now on requests wait so long for a replica, and for a rate limit (seconds)."""
        self._queues.patience, self._queues.longest_pause = patience, longest_pause

    # A request's way

    def admit(
        self,
        node: Node | None,
        estimate: TokenEstimate | None = None,
        tried: tuple[Replica, ...] = (),
    ) -> Coroutine[Any, Any, Slot]:
        """A slot at a replica, other than those ``tried`` if there is one; to be ``release``-d.

        Raises ``EndpointUnavailable`` where no replica answered for as long as there is patience,
        and ``RateLimited`` where all have a rate limit that is not waited for.
        """
        return self._queues.admit(node, estimate, tried)

    def release(self, slot: Slot) -> None:
        """A request is over, however it went."""
        self._queues.release(slot)

    def at(self, replica: Replica) -> Slot:
        """A slot at one replica, whatever waits for it."""
        return self._queues.take(replica, asyncio.get_running_loop().time())

    def rate_limit(self) -> RateLimited | None:
        """What no request is sent for now, where that is a rate limit."""
        return self._queues.rate_limit()

    def takes_elsewhere(self, replica: Replica) -> bool:
        """Whether another replica takes requests now."""
        now = asyncio.get_running_loop().time()
        return any(each.takes_requests(now) for each in self.replicas if each is not replica)

    # What became of it

    def succeeded(self, slot: Slot, work: float) -> float:
        """Its replica answered, for so much ``work``; returns the seconds it took."""
        replica, now = slot.replica, asyncio.get_running_loop().time()
        seconds = now - slot.since
        replica.record_latency(seconds, work)
        replica.limit.succeeded(seconds, work, replica.in_flight, now)
        if self._files.is_short:
            self._files.sufficed()
        self.rates.went_well(now)
        self.answered_at = now
        self.answered(replica)
        return seconds

    def answered(self, replica: Replica) -> None:
        """A replica is seen to be alive."""
        breaker = replica.breaker
        was_closed = breaker.state == "closed"
        breaker.succeeded()
        if not was_closed:
            self._queues.down_since = None
            self._queues.available()

    def failed(self, slot: Slot, error: EndpointUnavailable | BadResponse) -> None:
        """Its replica did not answer as it should; a status of 429 says only that it is busy, and
        a doubtful failure that it may be the request."""
        self._queues.loop = loop = asyncio.get_running_loop()
        replica, now = slot.replica, loop.time()
        if isinstance(error, TooManyOpenFiles):
            self._files.ran_out()
            return
        replica.last_error = error
        if isinstance(error, EndpointUnavailable):
            if error.timed_out:
                replica.limit.timed_out(now)
            if error.status in (429, 503):
                replica.limit.rejected(now)
                if error.retry_after:
                    self._pause(replica, error, error.retry_after, now)
            if error.status == 429:
                return
        if error.is_doubtful:
            replica.doubts += 1
            if replica.breaker.state != "half-open":
                return
        self.hold_against(replica, error)

    def hold_against(
        self, replica: Replica, error: EndpointError, *, is_certain: bool = False
    ) -> None:
        """A replica failed by its own fault; ``is_certain``: it would fail at any request."""
        now = asyncio.get_running_loop().time()
        replica.last_error = error
        if replica.breaker.failed(now, is_certain=is_certain):
            self._queues.redistribute(replica)
            self._queues.await_replicas_if_all_are_down(now)

    # Replicas that come and go

    def put_replicas(self, bases: Sequence[str]) -> None:
        """Have these replicas and no others; what is in flight at those that go ends there."""
        gone = self.replicas.put(bases)
        self._queues.have_replicas()
        for replica in gone:
            self._queues.redistribute(replica)
        self._queues.available()

    def on_health_check(self, replica: Replica, healthy: bool) -> None:
        """An open replica was asked for its health."""
        replica.breaker.on_health_check(healthy, asyncio.get_running_loop().time())
        if healthy:
            self._queues.available()

    async def keep_rates(self) -> None:
        """Let requests out as the endpoint's rate allows, as long as there are any limits.

        Where that cannot go on, those that wait fail with the reason: nobody else would let them
        out.
        """
        while True:
            try:
                await self._queues.let_out()
            except Exception as error:
                why = f"requests to {self.model} cannot be let out at its rate: {error!r}"
                LOG.warning("%s", why)
                self._queues.fail(partial(EndpointUnavailable, why, url="", is_final=True))

    def observe_headers(self, headers: Mapping[str, str], slot: Slot) -> None:
        """An answer's headers, which may tell of rate limits."""
        if "x-ratelimit-limit-requests" in headers or "x-ratelimit-limit-tokens" in headers:
            had_any = self.rates.are_any
            self.rates.observe_headers(headers, slot.passed, asyncio.get_running_loop().time())
            if not had_any and self.rates.are_any:
                for replica in self.replicas:
                    self._queues.redistribute(replica)

    def status(self) -> Status:
        """How it is going, from any thread."""
        replicas = list(self.replicas)
        waiting = self._queues.waiting + sum(len(replica.queue) for replica in replicas)
        limits = sum(int(each.limit.limit) for each in replicas)
        limit = min(self._queues.most_in_flight, limits)
        return Status(
            in_flight=self.in_flight,
            waiting=waiting,
            limit=int(limit),
            replicas=len(replicas),
            up=sum(replica.breaker.state == "closed" for replica in replicas),
            slow=sum(replica.share < 1.0 for replica in replicas),
            retries=self.retry_budget.spent,
            rate_limited=self.rates.waited,
            waits_for=self._waits_for(replicas) if waiting or self.begun else None,
        )

    def _waits_for(self, replicas: Sequence[Replica]) -> str | None:
        queues = self._queues
        if queues.loop is None:
            return None
        now = queues.loop.time()
        if not replicas:
            return "no replicas: waiting for one"
        if queues.down_since is not None:
            return waits.down(replicas, now - queues.down_since)
        if not self.in_flight and (said := waits.pause(replicas, now)) is not None:
            return said
        return waits.turn(self.rates, queues.waiting, now)

    def _pause(
        self, replica: Replica, error: EndpointUnavailable, seconds: float, now: float
    ) -> None:
        if error.status != 429:
            seconds = min(seconds, self._queues.longest_pause)
        if now + seconds <= replica.paused_until:
            return
        replica.paused_until, replica.paused_by = now + seconds, error
        if seconds < math.inf:
            asyncio.get_running_loop().call_later(seconds + 1e-3, self._queues.available)
        self._queues.redistribute(replica)
        self._queues.fail_at_a_rate_limit()
