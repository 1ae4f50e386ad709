"""Where requests wait, and which goes next when there is room.

A request goes at once where its replica has room. Else it waits: at the replica that holds its
prefix, in the order of a ``FairQueue``; together with all others where no replica takes requests,
or where the endpoint's rate is limited.
"""

import asyncio
import math
from collections.abc import Callable

from orchestrator.core.node import Node
from orchestrator.endpoints.admission import waits
from orchestrator.endpoints.admission.adaptive_limit import LoopLag
from orchestrator.endpoints.admission.fair_queue import FairQueue, Ticket, TurnsTaken
from orchestrator.endpoints.admission.rate_limits import Passed, RateLimits, TokenEstimate
from orchestrator.endpoints.admission.replicas import Replica, Replicas
from orchestrator.endpoints.admission.status import all_of
from orchestrator.endpoints.http.open_files import OpenFiles
from orchestrator.errors import EndpointUnavailable, RateLimited

_IDLE = 0.75  # of its limit: a replica with less takes over what waits for another
_NO_TOKENS = TokenEstimate(0.0, 0.0, 0.0)


class Slot:
    """A request's place at a replica, from being admitted to its release."""

    __slots__ = ("passed", "replica", "since")

    def __init__(self, replica: Replica, since: float, passed: Passed | None = None) -> None:
        self.replica = replica
        self.since = since
        self.passed = passed


class Queues:
    """Admits requests to ``replicas`` of ``model``, as long as there is room for them.

    ``down_since`` is since when no replica answers; requests wait for ``patience`` seconds from
    then, and fail.
    """

    def __init__(
        self,
        model: str,
        replicas: Replicas,
        rates: RateLimits,
        *,
        cap: int | None,
        patience: float,
        longest_pause: float,
        files: OpenFiles,
    ) -> None:
        self.model = model
        self.replicas = replicas
        self.rates = rates
        self.lag = LoopLag()
        self.in_flight = 0
        self.down_since: float | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self._cap = math.inf if cap is None else cap
        self._files = files
        self.patience = patience
        self.longest_pause = longest_pause
        self._served = TurnsTaken()
        self._waiting = FairQueue(self._served)
        self._to_do = asyncio.Event()
        self.have_replicas()

    @property
    def most_in_flight(self) -> float:
        """What the endpoint as a whole, the event loop and the process have room for."""
        return min(self._cap, self.lag.cap, self._files.share)

    @property
    def waiting(self) -> int:
        """Requests that wait for any replica, or for the endpoint's rate."""
        return len(self._waiting)

    async def admit(
        self,
        node: Node | None,
        estimate: TokenEstimate | None = None,
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
                and not replica.queue
                and self._may_send
            ):
                return self.take(replica, now)
        if (limit := self.rate_limit()) is not None:
            raise limit
        self.loop = loop
        ticket = Ticket(node, estimate, tried, loop.create_future())
        self._line_up(ticket, loop.time())
        try:
            return await ticket.granted
        except asyncio.CancelledError:
            if ticket.queue is not None:
                ticket.queue.give_up(ticket)
            elif (slot := _granted(ticket)) is not None:
                if slot.passed is not None:
                    self.rates.answered(slot.passed, 0.0)
                self.release(slot)
            raise

    def take(self, replica: Replica, now: float, passed: Passed | None = None) -> Slot:
        """A slot at this replica, whatever waits for it."""
        replica.in_flight += 1
        self.in_flight += 1
        if replica.breaker.state == "half-open":
            replica.breaker.is_tried = True
        return Slot(replica, now, passed)

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

    def rate_limit(self) -> RateLimited | None:
        """What no request is sent for now, where that is a rate limit."""
        now = asyncio.get_running_loop().time()
        return waits.rate_limit(self.replicas, now, self.longest_pause)

    async def let_out(self) -> None:
        """Let requests out as the endpoint's rate allows, until nobody waits or has where to go:
        then a release, or a replica that is back, goes on here."""
        await self._to_do.wait()
        self._to_do.clear()
        loop = asyncio.get_running_loop()
        while self.rates.are_any and (ticket := self._waiting.peek()) is not None:
            if self._free(ticket, loop.time()) is None:
                return
            await self.rates.room(ticket.tokens or _NO_TOKENS)
            ticket, now = self._waiting.peek(), loop.time()
            replica = self._free(ticket, now) if ticket is not None else None
            if ticket is not None and replica is not None:
                self._waiting.pop()
                if not ticket.granted.done():
                    passed = self.rates.passed(ticket.tokens or _NO_TOKENS, now)
                    ticket.granted.set_result(self.take(replica, now, passed))

    # Replicas that fail, and are back

    def redistribute(self, replica: Replica) -> None:
        """Those who wait for a replica go elsewhere: it takes requests no more."""
        now = asyncio.get_running_loop().time()
        for ticket in list(replica.queue.drain()):
            self._line_up(ticket, now)

    def available(self) -> None:
        """A replica takes requests that took none before."""
        if self.rates.are_any:
            self._to_do.set()
            return
        self._serve()
        for replica in self.replicas:
            if replica.queue:
                self._pump(replica)

    def have_replicas(self) -> None:
        """Others came, or some went."""
        for replica in self.replicas:
            replica.queue.served = self._served
        if not self._none_closed():
            self.down_since = None

    def await_replicas_if_all_are_down(self, now: float) -> None:
        """A replica went down, maybe the last."""
        if self._none_closed():
            self._await_replicas(now)

    def fail_at_a_rate_limit(self) -> None:
        """A replica asks for a pause: maybe all do, for longer than is waited for."""
        if self.rate_limit() is not None:
            self.fail(lambda: self.rate_limit() or self._gone())

    def fail(self, reason: Callable[[], EndpointUnavailable]) -> None:
        """All who wait for any replica fail, each with an error of its own."""
        for ticket in list(self._waiting.drain()):
            if not ticket.granted.done():
                ticket.granted.set_exception(reason())

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

    def _line_up(self, ticket: Ticket, now: float) -> None:
        replica = None
        if not self.rates.are_any:
            replica = self._choose(ticket.question, now, ticket.tried)
        if replica is not None:
            replica.queue.push(ticket)
            self._pump(replica)
            return
        self._waiting.push(ticket)
        self._to_do.set()
        if self._none_closed() and (self.patience or not self.replicas):
            self._await_replicas(now)

    def _free(self, ticket: Ticket, now: float) -> Replica | None:
        if not self._may_send:
            return None
        replica = self._choose(ticket.question, now, ticket.tried)
        if replica is None or replica.has_room:
            return replica
        able = [each for each in self.replicas if each.takes_requests(now) and each.has_room]
        return min(able, key=lambda each: each.load, default=None)

    def _pump(self, first: Replica) -> None:
        """Give what waits the room there is, at ``first`` before others."""
        now = None
        while self._may_send:
            source = target = first
            if not (first.queue and first.has_room):
                if len(self.replicas) == 1:
                    return
                found = self._elsewhere(first)
                if found is None:
                    return
                source, target = found
            ticket = source.queue.pop()
            if ticket is None or ticket.granted.done():
                continue
            if now is None:
                now = asyncio.get_running_loop().time()
            ticket.granted.set_result(self.take(target, now))

    def _elsewhere(self, idle: Replica) -> tuple[Replica, Replica] | None:
        """Whose ticket goes where: to its own replica, if that has room; else to an idle one."""
        longest: Replica | None = None
        for replica in self.replicas:
            if replica.queue:
                if replica.has_room:
                    return replica, replica
                if longest is None or len(replica.queue) > len(longest.queue):
                    longest = replica
        if longest is None or idle.share < 1.0 or idle.in_flight >= _IDLE * idle.limit.limit:
            return None
        if idle not in self.replicas:
            return None
        takes = idle.takes_requests(asyncio.get_running_loop().time())
        return (longest, idle) if takes else None

    def _serve(self) -> None:
        """Those who wait for any replica go to one that is back."""
        now = asyncio.get_running_loop().time()
        while (ticket := self._waiting.peek()) is not None:
            replica = self._choose(ticket.question, now, ticket.tried)
            if replica is None:
                return
            self._waiting.pop()
            if ticket.granted.done():
                continue
            replica.queue.push(ticket)
            self._pump(replica)

    def _all_open(self) -> bool:
        return all(replica.breaker.state == "open" for replica in self.replicas)

    def _none_closed(self) -> bool:
        return all(replica.breaker.state != "closed" for replica in self.replicas)

    def _await_replicas(self, now: float) -> None:
        if self.down_since is None:
            self.down_since = now
            loop = asyncio.get_running_loop()
            loop.call_later(self.patience, self._lose_patience, now)
        elif now - self.down_since >= self.patience:
            self._lose_patience(self.down_since)

    def _lose_patience(self, since: float) -> None:
        if self.down_since != since:
            return
        self.fail(self._gone)

    def _gone(self) -> EndpointUnavailable:
        errors = [each.last_error for each in self.replicas if each.last_error is not None]
        were = "was" if len(self.replicas) == 1 else "were"
        return EndpointUnavailable(
            f"{all_of(self.replicas)} of {self.model} {were} down for {self.patience:g} s"
            + (f": {errors[0].message}" if errors else ""),
            url=errors[0].url if errors else "",
            is_final=True,
        )


def _granted(ticket: Ticket) -> Slot | None:
    """The slot it was given, perhaps in the very turn of the loop in which it was cancelled."""
    granted = ticket.granted
    if not granted.done() or granted.cancelled() or granted.exception() is not None:
        return None
    return granted.result()
