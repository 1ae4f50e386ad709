"""Which request goes when, and to which replica: one dispatcher an endpoint.

A request goes at once where its replica has room. Else it waits: at the replica that holds its
prefix, in the order of ``turns``; together with all others where no replica takes requests, or
where the endpoint's rate is limited.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from orchestrator.core.node import Node
from orchestrator.endpoints.admission import waits
from orchestrator.endpoints.admission.adaptive_limit import LoopLag
from orchestrator.endpoints.admission.fair_queue import Served, Turns, Waiter
from orchestrator.endpoints.admission.rate_limits import Estimate, Passed, RateLimits
from orchestrator.endpoints.admission.replicas import Replica, Replicas
from orchestrator.endpoints.admission.status import Status, all_of
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

_IDLE = 0.75  # of its limit: a replica with less takes over what waits for another
_NO_TOKENS = Estimate(0.0, 0.0, 0.0)


class Slot:
    """A request's place at a replica, from being admitted to its release."""

    __slots__ = ("passed", "replica", "since")

    def __init__(self, replica: Replica, since: float, passed: Passed | None = None) -> None:
        self.replica = replica
        self.since = since
        self.passed = passed


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
        self.lag = LoopLag()
        self.in_flight = 0
        self.retry_budget = RetryBudget()
        self._cap = math.inf if cap is None else cap
        self._files = files
        self.patience = patience
        self.longest_pause = longest_pause
        self.begun = 0
        """Requests that are not over, those that are to be tried again included."""
        self.answered_at = -math.inf
        self._served = Served()
        self._waiting = Turns(self._served)
        self._to_do = asyncio.Event()
        self._down_since: float | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._share_turns()

    # A request's way

    async def admit(
        self,
        node: Node | None,
        estimate: Estimate | None = None,
        tried: tuple[Replica, ...] = (),
    ) -> Slot:
        """A slot at a replica, other than those ``tried`` if there is one; to be ``release``-d.

        Raises ``EndpointUnavailable`` where no replica answered for as long as there is patience,
        and ``RateLimited`` where all have a rate limit that is not waited for.
        """
        loop = asyncio.get_running_loop()
        if not self.rates.are_any:
            now = loop.time()
            replica = self._choose(node.question if node is not None else "", now, tried)
            if (
                replica is not None
                and replica.in_flight < replica.limit.limit
                and not replica.turns
                and self._may_send
            ):
                return self._take(replica, now)
        if (limit := self.rate_limit()) is not None:
            raise limit
        self._loop = loop
        waiter = Waiter(node, estimate, tried, loop.create_future())
        self._line_up(waiter, loop.time())
        try:
            return await waiter.granted
        except asyncio.CancelledError:
            if waiter.turns is not None:
                waiter.turns.gave_up(waiter)
            elif (slot := _granted(waiter)) is not None:
                if slot.passed is not None:
                    self.rates.answered(slot.passed, 0.0)
                self.release(slot)
            raise

    def release(self, slot: Slot) -> None:
        """A request is over, however it went."""
        slot.replica.in_flight -= 1
        slot.replica.breaker.is_tried = False
        self.in_flight -= 1
        if self.rates.are_any:
            self._to_do.set()
            return
        if self._waiting:
            self._serve()
        self._pump(slot.replica)

    def succeeded(self, slot: Slot, work: float) -> float:
        """Its replica answered, for so much ``work``; returns the seconds it took."""
        replica, now = slot.replica, asyncio.get_running_loop().time()
        seconds = now - slot.since
        replica.took(seconds, work)
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
            self._down_since = None
            self._available()

    def failed(self, slot: Slot, error: EndpointUnavailable | BadResponse) -> None:
        """Its replica did not answer as it should; a status of 429 says only that it is busy, and
        a doubtful failure that it may be the request."""
        self._loop = asyncio.get_running_loop()
        replica, now = slot.replica, self._loop.time()
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
            self._redistribute(replica)
            if self._none_closed():
                self._await_replicas(now)

    def at(self, replica: Replica) -> Slot:
        """A slot at one replica, whatever waits for it."""
        return self._take(replica, asyncio.get_running_loop().time())

    def rate_limit(self) -> RateLimited | None:
        """What no request is sent for now, where that is a rate limit."""
        now = asyncio.get_running_loop().time()
        return waits.rate_limit(self.replicas, now, self.longest_pause)

    def takes_elsewhere(self, replica: Replica) -> bool:
        """Whether another replica takes requests now."""
        now = asyncio.get_running_loop().time()
        return any(each.takes_requests(now) for each in self.replicas if each is not replica)

    # Replicas that come and go

    def put_replicas(self, bases: Sequence[str]) -> None:
        """Have these replicas and no others; what is in flight at those that go ends there."""
        gone = self.replicas.put(bases)
        self._share_turns()
        for replica in gone:
            self._redistribute(replica)
        if not self._none_closed():
            self._down_since = None
        self._available()

    def looked(self, replica: Replica, healthy: bool) -> None:
        """An open replica was asked for its health."""
        replica.breaker.looked(healthy, asyncio.get_running_loop().time())
        if healthy:
            self._available()

    async def keep_rates(self) -> None:
        """Let requests out as the endpoint's rate allows, as long as there are any limits.

        Where that cannot go on, those that wait fail with the reason: nobody else would let them
        out.
        """
        while True:
            await self._to_do.wait()
            self._to_do.clear()
            try:
                await self._let_out()
            except Exception as error:
                why = f"requests to {self.model} cannot be let out at its rate: {error!r}"
                LOG.warning("%s", why)
                self._fail_waiting(partial(EndpointUnavailable, why, url="", is_final=True))

    async def _let_out(self) -> None:
        """Until nobody waits, or has where to go: then a release, or a replica that is back, goes
        on here."""
        loop = asyncio.get_running_loop()
        while self.rates.are_any and (waiter := self._waiting.peek()) is not None:
            if self._free(waiter, loop.time()) is None:
                return
            await self.rates.room(waiter.tokens or _NO_TOKENS)
            waiter, now = self._waiting.peek(), loop.time()
            replica = self._free(waiter, now) if waiter is not None else None
            if waiter is not None and replica is not None:
                self._waiting.pop()
                if not waiter.granted.done():
                    passed = self.rates.passed(waiter.tokens or _NO_TOKENS, now)
                    waiter.granted.set_result(self._take(replica, now, passed))

    def told(self, headers: Mapping[str, str], slot: Slot) -> None:
        """An answer's headers, which may tell of rate limits."""
        if "x-ratelimit-limit-requests" in headers or "x-ratelimit-limit-tokens" in headers:
            had_any = self.rates.are_any
            self.rates.told(headers, slot.passed, asyncio.get_running_loop().time())
            if not had_any and self.rates.are_any:
                for replica in self.replicas:
                    self._redistribute(replica)

    def status(self) -> Status:
        """How it is going, from any thread."""
        replicas = list(self.replicas)
        waiting = len(self._waiting) + sum(len(replica.turns) for replica in replicas)
        limits = sum(int(each.limit.limit) for each in replicas)
        limit = min(self._cap, self.lag.cap, self._files.share, limits)
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
        if self._loop is None:
            return None
        now = self._loop.time()
        if not replicas:
            return "no replicas: waiting for one"
        if self._down_since is not None:
            return waits.down(replicas, now - self._down_since)
        if not self.in_flight and (said := waits.pause(replicas, now)) is not None:
            return said
        return waits.turn(self.rates, len(self._waiting), now)

    # Inside

    @property
    def _may_send(self) -> bool:
        """Whether the endpoint as a whole, the event loop and the process have room for more."""
        in_flight = self.in_flight
        return in_flight < self._cap and in_flight < self.lag.cap and in_flight < self._files.share

    def _choose(self, question: str, now: float, tried: tuple[Replica, ...] = ()) -> Replica | None:
        replica = self.replicas.choose(question, now, tried)
        if replica is None and not self.patience and self._all_open():
            untried = [each for each in self.replicas if each not in tried]
            return next(iter(untried or self.replicas), None)
        return replica

    def _take(self, replica: Replica, now: float, passed: Passed | None = None) -> Slot:
        replica.in_flight += 1
        self.in_flight += 1
        if replica.breaker.state == "half-open":
            replica.breaker.is_tried = True
        return Slot(replica, now, passed)

    def _line_up(self, waiter: Waiter, now: float) -> None:
        replica = None
        if not self.rates.are_any:
            replica = self._choose(waiter.question, now, waiter.tried)
        if replica is not None:
            replica.turns.push(waiter)
            self._pump(replica)
            return
        self._waiting.push(waiter)
        self._to_do.set()
        if self._none_closed() and (self.patience or not self.replicas):
            self._await_replicas(now)

    def _free(self, waiter: Waiter, now: float) -> Replica | None:
        if not self._may_send:
            return None
        replica = self._choose(waiter.question, now, waiter.tried)
        if replica is None or replica.has_room:
            return replica
        able = [each for each in self.replicas if each.takes_requests(now) and each.has_room]
        return min(able, key=lambda each: each.load, default=None)

    def _pump(self, first: Replica) -> None:
        """Give what waits the room there is, at ``first`` before others."""
        now = None
        while self._may_send:
            source = target = first
            if not (first.turns and first.has_room):
                if len(self.replicas) == 1:
                    return
                found = self._elsewhere(first)
                if found is None:
                    return
                source, target = found
            waiter = source.turns.pop()
            if waiter is None or waiter.granted.done():
                continue
            if now is None:
                now = asyncio.get_running_loop().time()
            waiter.granted.set_result(self._take(target, now))

    def _elsewhere(self, idle: Replica) -> tuple[Replica, Replica] | None:
        """Whose waiter goes where: to its own replica, if that has room; else to an idle one."""
        longest: Replica | None = None
        for replica in self.replicas:
            if replica.turns:
                if replica.has_room:
                    return replica, replica
                if longest is None or len(replica.turns) > len(longest.turns):
                    longest = replica
        if longest is None or idle.share < 1.0 or idle.in_flight >= _IDLE * idle.limit.limit:
            return None
        if idle not in self.replicas:
            return None
        takes = idle.takes_requests(asyncio.get_running_loop().time())
        return (longest, idle) if takes else None

    def _redistribute(self, replica: Replica) -> None:
        now = asyncio.get_running_loop().time()
        for waiter in list(replica.turns.drain()):
            self._line_up(waiter, now)

    def _serve(self) -> None:
        """Those who wait for any replica go to one that is back."""
        now = asyncio.get_running_loop().time()
        while (waiter := self._waiting.peek()) is not None:
            replica = self._choose(waiter.question, now, waiter.tried)
            if replica is None:
                return
            self._waiting.pop()
            if waiter.granted.done():
                continue
            replica.turns.push(waiter)
            self._pump(replica)

    def _available(self) -> None:
        if self.rates.are_any:
            self._to_do.set()
            return
        self._serve()
        for replica in self.replicas:
            if replica.turns:
                self._pump(replica)

    def _pause(
        self, replica: Replica, error: EndpointUnavailable, seconds: float, now: float
    ) -> None:
        if error.status != 429:
            seconds = min(seconds, self.longest_pause)
        if now + seconds <= replica.paused_until:
            return
        replica.paused_until, replica.paused_by = now + seconds, error
        if seconds < math.inf:
            asyncio.get_running_loop().call_later(seconds + 1e-3, self._available)
        self._redistribute(replica)
        if self.rate_limit() is not None:
            self._fail_waiting(lambda: self.rate_limit() or self._gone())

    def _all_open(self) -> bool:
        return all(replica.breaker.state == "open" for replica in self.replicas)

    def _none_closed(self) -> bool:
        return all(replica.breaker.state != "closed" for replica in self.replicas)

    def _await_replicas(self, now: float) -> None:
        if self._down_since is None:
            self._down_since = now
            loop = asyncio.get_running_loop()
            loop.call_later(self.patience, self._lose_patience, now)
        elif now - self._down_since >= self.patience:
            self._lose_patience(self._down_since)

    def _lose_patience(self, since: float) -> None:
        if self._down_since != since:
            return
        self._fail_waiting(self._gone)

    def _fail_waiting(self, reason: Callable[[], EndpointUnavailable]) -> None:
        for waiter in list(self._waiting.drain()):
            if not waiter.granted.done():
                waiter.granted.set_exception(reason())

    def _gone(self) -> EndpointUnavailable:
        errors = [each.last_error for each in self.replicas if each.last_error is not None]
        were = "was" if len(self.replicas) == 1 else "were"
        return EndpointUnavailable(
            f"{all_of(self.replicas)} of {self.model} {were} down for {self.patience:g} s"
            + (f": {errors[0].message}" if errors else ""),
            url=errors[0].url if errors else "",
            is_final=True,
        )

    def _share_turns(self) -> None:
        for replica in self.replicas:
            replica.turns.served = self._served


def _granted(waiter: Waiter) -> Slot | None:
    """The slot it was given, perhaps in the very turn of the loop in which it was cancelled."""
    granted = waiter.granted
    if not granted.done() or granted.cancelled() or granted.exception() is not None:
        return None
    return granted.result()
