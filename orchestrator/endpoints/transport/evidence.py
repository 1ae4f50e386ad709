"""Whose fault a failure is: this request's alone, or its server's for every request.

A server that refuses a prompt, fails at it or answers it with nonsense may do so to this one alone,
and then one branch ends; or to all, and then the endpoint is misconfigured or broken. Nothing in
the failure tells which. What does is how the same server takes other requests of the same kind,
ones that differ in their text alone: those it answered meanwhile, or else a control, a request that
it answered before or one without any content of note, sent for this purpose.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, TypeAlias

from orchestrator.endpoints.admission.circuit_breaker import IN_A_ROW
from orchestrator.endpoints.admission.dispatcher import Dispatcher
from orchestrator.endpoints.admission.replicas import Replica
from orchestrator.endpoints.transport.requests import Request
from orchestrator.errors import (
    BadResponse,
    EndpointError,
    EndpointRefused,
    EndpointUnavailable,
    PromptRefused,
)

FEW = 3
"""Tries of a request that its server answers badly each time."""

_LOOK_EVERY_S = 0.1

Doubtful: TypeAlias = EndpointUnavailable | BadResponse

Send: TypeAlias = Callable[[Replica, Request], Coroutine[Any, Any, object]]
"""One request to one replica, once. Raises ``EndpointError``."""


@dataclass(slots=True)
class Doubts:
    """What one request met so far: at which replica, the answers others had had from it by then,
    and the failure."""

    met: list[tuple[Replica, int, Doubtful]] = field(default_factory=list)


@dataclass(slots=True)
class Evidence:
    """Of one endpoint, whose ``attempts`` bound all tries of a request."""

    dispatcher: Dispatcher
    send: Send
    attempts: int
    _answered: dict[str, Request] = field(default_factory=dict)
    _proven: dict[tuple[object, ...], Request] = field(default_factory=dict)
    _refused_in_a_row: int = 0
    _recovered: int = 0
    _given_up: int = 0
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)

    def answered(self, request: Request) -> None:
        """A request had a good answer."""
        self._answered[request.path] = request
        self._refused_in_a_row = 0

    def recovered(self, doubts: Doubts, by: Replica) -> None:
        """A request that had failed was answered ``by`` a replica after all: the others are held
        to have been at fault."""
        self._recovered += 1
        for replica, _, failure in doubts.met:
            if replica is not by:
                self.dispatcher.hold_against(replica, failure)

    async def judge_refusal(
        self, refused: EndpointRefused, request: Request, replica: Replica
    ) -> EndpointRefused | PromptRefused:
        """The refusal, or that of this prompt alone.

        An answer to one of its kind before it speaks for the endpoint; a second refusal in a row,
        or one that names another cause, asks for a control.
        """
        if refused.says is None:
            return refused
        others = self._like(request)
        if refused.names_cause and request.path not in self._answered:
            return refused  # as the first of all requests is, by a wrong key
        self._refused_in_a_row += 1
        if others is None or refused.names_cause or self._refused_in_a_row > 1:

            def is_known() -> bool:
                return self._like(request) is not others or not self._refused_in_a_row

            async with self._one_at_a_time:
                if not is_known() and await self._control(request, replica, is_known) != "answered":
                    return refused
        return PromptRefused(
            f"{refused.url} refuses this request and takes others like it: "
            f"{refused.says or 'without a reason'}",
            url=refused.url,
        )

    async def judge_failure(
        self, failure: Doubtful, doubts: Doubts, request: Request, replica: Replica
    ) -> EndpointError:
        """The failure as it is to be retried: soon, as long as it may be an accident; like one of
        the server where it fails for all; or not at all, as a ``BadResponse`` that is final or, of
        a status of 500, a ``PromptRefused``."""
        doubts.met.append((replica, replica.answers, failure))
        is_flaky = self._recovered > self._given_up
        has_had_enough = len(doubts.met) >= (self.attempts if is_flaky else FEW)
        if len(doubts.met) >= self.attempts and isinstance(failure, BadResponse):
            return failure  # whosever fault it is
        if not has_had_enough and replica.doubts < IN_A_ROW:
            return failure
        if not await self._are_well(doubts, request):
            failure.is_doubtful = False
            return failure
        if not has_had_enough:
            return failure
        self._given_up += 1
        is_alone = await self._takes_its_like(request, replica)
        if is_alone and isinstance(failure, EndpointUnavailable) and failure.status == 500:
            return PromptRefused(
                f"{failure.message} (each of {len(doubts.met)} times, while others are answered)",
                url=failure.url,
            )
        return BadResponse(failure.message, url=failure.url, is_doubtful=is_alone, is_final=True)

    async def _takes_its_like(self, request: Request, replica: Replica) -> bool:
        """Whether requests of this kind are answered, rather than only others."""

        def is_known() -> bool:
            return self._like(request) is not None

        if is_known():
            return True
        async with self._one_at_a_time:
            return is_known() or await self._control(request, replica, is_known) == "answered"

    async def _are_well(self, doubts: Doubts, request: Request) -> bool:
        """Whether every replica that failed at a request answers others; those that do not are
        held to have failed."""
        first: dict[int, tuple[Replica, int, Doubtful]] = {}
        for each in doubts.met:
            first.setdefault(id(each[0]), each)
        well = True
        for replica, answers, failure in first.values():
            async with self._one_at_a_time:
                is_well = partial(_has_answered, replica, answers)
                if is_well():
                    continue
                found = (
                    "failed"
                    if replica.breaker.state != "closed"
                    else await self._control(request, replica, is_well)
                )
            if found == "failed":
                self.dispatcher.hold_against(replica, failure, is_certain=True)
            well = well and found == "answered"
        return well

    def _like(self, request: Request) -> Request | None:
        """A request of the same kind that was answered."""
        kind = request.kind
        if kind not in self._proven:
            latest = self._answered.get(request.path)
            if latest is None or latest.kind != kind:
                return None
            self._proven[kind] = latest
        return self._proven[kind]

    async def _control(
        self, request: Request, replica: Replica, is_known: Callable[[], bool]
    ) -> Literal["answered", "failed", "unknown"]:
        """What a replica makes of a request that is known to be good, or as good as any.

        Others may be answered meanwhile, so that it ``is_known``.
        """
        control = self._like(request) or request.with_harmless_text()
        sent = asyncio.create_task(self.send(replica, control))
        try:
            while not sent.done():
                await asyncio.wait({sent}, timeout=_LOOK_EVERY_S)
                if is_known():
                    return "answered"
            sent.result()
        except EndpointUnavailable as error:
            return "unknown" if error.status == 429 else "failed"
        except BadResponse:
            return "failed"
        except EndpointError:
            return "unknown"
        finally:
            sent.cancel()
            await asyncio.gather(sent, return_exceptions=True)
        self._proven.setdefault(request.kind, control)
        return "answered"


def _has_answered(replica: Replica, more_than: int) -> bool:
    return replica.answers > more_than
