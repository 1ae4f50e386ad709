"""``/pooling``, with the calls of many trees joined into few requests while the server is busy.

Siblings always share a request. Calls of different trees do from the moment that a server has
plenty to do: they wait for a request to come back, for a full one, or for ``WINDOW``, and then go
out together. A PRM batches what it has anyway, and a tenth of the requests is a tenth of the cost.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise
from typing import TypeAlias

from orchestrator.core.tree import Node
from orchestrator.endpoints.transport import Transport
from orchestrator.endpoints.wire import PoolingRequest, PoolingResponse, Usage
from orchestrator.errors import EndpointError, EndpointUnavailable

INPUTS = 64
"""A request with so many inputs waits for no more."""

WINDOW = 0.01
"""Seconds after which a call waits for no others."""

BUSY = 8
"""Requests in flight for each replica from which on calls wait for one another."""

Input: TypeAlias = str | tuple[int, ...]
"""What a PRM reads: a text, or its token ids."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """What came back for one input: its rows, and its part of the request's tokens."""

    rows: list[list[float | None] | float | None]
    tokens: int = 0
    cached_tokens: int = 0


@dataclass(slots=True, eq=False)
class _Call:
    inputs: Sequence[Input]
    node: Node
    answer: asyncio.Future[list[Pooled]]


@dataclass(slots=True)
class Coalescer:
    """All calls of ``/pooling`` of one PRM."""

    transport: Transport
    _waiting: list[_Call] = field(default_factory=list)
    _in_flight: int = 0
    _timer: asyncio.TimerHandle | None = None
    _requests: set[asyncio.Task[None]] = field(default_factory=set)

    async def ask(self, inputs: Sequence[Input], node: Node) -> list[Pooled]:
        """What the server says to each of ``inputs``, where equal ones are sent once.

        ``node`` is what it is for. An input the server skips has no rows. Raises
        ``EndpointError``, never for what is wrong with another call's inputs.
        """
        if self._in_flight < BUSY * len(self.transport.endpoint.urls):
            self._in_flight += 1
            try:
                return await self._post(inputs, node)
            finally:
                self._in_flight -= 1
                self._send_waiting()
        loop = asyncio.get_running_loop()
        call = _Call(inputs, node, loop.create_future())
        self._waiting.append(call)
        if sum(len(each.inputs) for each in self._waiting) >= INPUTS:
            self._send_waiting()
        elif self._timer is None:
            self._timer = loop.call_later(WINDOW, self._send_waiting)
        return await call.answer

    def _send_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        calls = [call for call in self._waiting if not call.answer.done()]
        self._waiting.clear()
        if calls:
            self._in_flight += 1
            request = asyncio.create_task(self._send(calls))
            self._requests.add(request)
            request.add_done_callback(self._requests.discard)

            def wanted(_: object) -> None:
                if all(call.answer.done() for call in calls):
                    request.cancel()

            for call in calls:
                call.answer.add_done_callback(wanted)

    async def _send(self, calls: list[_Call]) -> None:
        """One request for all of ``calls``. What concerns one of them must not fail the others:
        after an error of what was sent each goes out by itself."""
        urgent = min(calls, key=lambda call: (call.node.tree.deadline, call.node.tree.number))
        try:
            found = await self._post([each for call in calls for each in call.inputs], urgent.node)
        except EndpointUnavailable as error:
            _fail(calls, error)
        except EndpointError as error:
            if len(calls) == 1:
                _fail(calls, error)
            else:
                await asyncio.gather(*(self._send([call]) for call in calls))
        except BaseException as error:
            _fail(calls, error)
            raise
        else:
            at = 0
            for call in calls:
                if not call.answer.done():
                    call.answer.set_result(found[at : at + len(call.inputs)])
                at += len(call.inputs)
        finally:
            self._in_flight -= 1
            self._send_waiting()

    async def _post(self, inputs: Sequence[Input], node: Node) -> list[Pooled]:
        distinct = list(dict.fromkeys(inputs))
        request = PoolingRequest(model=self.transport.endpoint.model, input=distinct)
        answer = await self.transport.post("/pooling", request, PoolingResponse, node=node)
        rows = {item.index: item.data for item in answer.data}
        parts = shares(answer.usage, [1 + len(each) for each in distinct])
        found = {
            each: Pooled(rows=rows.get(i, []), tokens=parts[i][0], cached_tokens=parts[i][1])
            for i, each in enumerate(distinct)
        }
        if len(distinct) == len(inputs):
            return list(found.values())
        return [_first_paid(found, each) for each in inputs]


def _first_paid(found: dict[Input, Pooled], one: Input) -> Pooled:
    """What came back for ``one``; whoever asks again for the same has it for nothing."""
    pooled = found[one]
    found[one] = replace(pooled, tokens=0, cached_tokens=0)
    return pooled


def _fail(calls: Sequence[_Call], error: BaseException) -> None:
    for call in calls:
        if not call.answer.done():
            if isinstance(error, asyncio.CancelledError):
                call.answer.cancel()
            else:
                call.answer.set_exception(error)


def shares(usage: Usage, lengths: Sequence[int]) -> list[tuple[int, int]]:
    """A request's prompt tokens, and those of them that were cached, in whole parts that are
    nearly proportional to ``lengths``, which are above 0."""
    tokens, cached = _parts(usage.prompt_tokens, lengths), _parts(usage.cached_tokens, lengths)
    return list(zip(tokens, cached, strict=True))


def _parts(amount: int, lengths: Sequence[int]) -> list[int]:
    if not amount:
        return [0] * len(lengths)
    total = sum(lengths)
    marks = [amount * reached // total for reached in accumulate(lengths, initial=0)]
    return [end - begin for begin, end in pairwise(marks)]
