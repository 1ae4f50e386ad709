"""``/pooling``, with the calls of many trees joined into few requests while the server is busy.

Siblings always share a request. Calls of different trees do from the moment that a server has
plenty to do: they wait for a request to come back, for a full one, or for ``WINDOW``, and then go
out together. A PRM batches what it has anyway, and a tenth of the requests is a tenth of the cost.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Generic, TypeAlias, TypeVar

from orchestrator.core.node import Node
from orchestrator.endpoints.http.wire import PoolingRequest, PoolingResponse, Usage
from orchestrator.endpoints.transport.transport import Transport
from orchestrator.errors import BadResponse, EndpointError, EndpointUnavailable

INPUTS = 64
"""A request with so many inputs waits for no more."""

WINDOW = 0.01
"""Seconds after which a call waits for no others."""

BUSY = 8
"""Requests in flight for each replica from which on calls wait for one another."""

R = TypeVar("R")

Input: TypeAlias = str | tuple[int, ...]
"""What a PRM reads: a text, or its token ids."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolingResult:
    """What came back for one input: its rows, and its part of the request's tokens."""

    rows: list[list[float | None] | float | None]
    tokens: int = 0
    cached_tokens: int = 0


ReadPooled: TypeAlias = Callable[[Sequence[PoolingResult], str], R]
"""From what came back for the inputs of a call, and the URL it came from, to what they mean. Raises
``BadResponse`` where that is not in it."""


@dataclass(slots=True, eq=False)
class _Call(Generic[R]):
    inputs: Sequence[Input]
    node: Node
    read: ReadPooled[R]
    answer: asyncio.Future[R]


@dataclass(slots=True)
class Coalescer(Generic[R]):
    """All calls of ``/pooling`` of one PRM."""

    transport: Transport
    _waiting: list[_Call[R]] = field(default_factory=list)
    _in_flight: int = 0
    _timer: asyncio.TimerHandle | None = None
    _requests: set[asyncio.Task[None]] = field(default_factory=set)

    async def ask(self, inputs: Sequence[Input], node: Node, read: ReadPooled[R]) -> R:
        """What ``read`` makes of the server's answer to ``inputs``, of which equal ones are sent
        and paid once.

        ``node`` is what it is for. An input the server skips has no rows. What cannot be read is
        asked for again. Raises ``EndpointError``, never for what is wrong with another call's
        inputs.
        """
        loop = asyncio.get_running_loop()
        call: _Call[R] = _Call(inputs, node, read, loop.create_future())
        if self._in_flight < BUSY * len(self.transport.endpoint.urls):
            self._in_flight += 1
            await self._send([call])
            return await call.answer
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

    async def _send(self, calls: list[_Call[R]]) -> None:
        try:
            await self._answer(calls)
        finally:
            self._in_flight -= 1
            self._send_waiting()

    async def _answer(self, calls: list[_Call[R]]) -> None:
        """One request for all of ``calls``. What concerns one of them must not fail the others, nor
        have them paid for again: after an error of what was sent each goes out by itself, and so
        do those that the answer lacks."""
        urgent = min(calls, key=lambda call: (call.node.tree.deadline, call.node.tree.number))
        try:
            answers = await self._post(calls, urgent.node)
        except EndpointError as error:
            if len(calls) == 1 or isinstance(error, EndpointUnavailable):
                _fail(calls, error)
                return
            missed = calls
        except BaseException as error:
            _fail(calls, error)
            raise
        else:
            missed = []
            for call, answer in zip(calls, answers, strict=True):
                if isinstance(answer, BadResponse):
                    missed.append(call)
                elif not call.answer.done():
                    call.answer.set_result(answer)
        await asyncio.gather(*(self._answer([call]) for call in missed if not call.answer.done()))

    async def _post(self, calls: Sequence[_Call[R]], node: Node) -> list[R | BadResponse]:
        """What each of ``calls`` reads in the answer to all of them, or why it cannot.

        Raises ``BadResponse`` where none can: then the replica is to blame.
        """
        # each call sends its own: what it takes never depends on who shares the request
        distinct = [list(dict.fromkeys(call.inputs)) for call in calls]
        sent = [each for inputs in distinct for each in inputs]
        request = PoolingRequest(model=self.transport.endpoint.model, input=sent)

        def read(answer: PoolingResponse, url: str) -> list[R | BadResponse]:
            rows = {item.index: item.data for item in answer.data}
            parts = shares(answer.usage, [max(1, len(each)) for each in sent])
            pooled = iter(
                PoolingResult(rows=rows.get(i, []), tokens=tokens, cached_tokens=cached)
                for i, (tokens, cached) in enumerate(parts)
            )
            answers: list[R | BadResponse] = []
            for call, inputs in zip(calls, distinct, strict=True):
                found = {each: next(pooled) for each in inputs}
                try:
                    answers.append(call.read([_first_paid(found, i) for i in call.inputs], url))
                except BadResponse as error:
                    answers.append(error)
            failures = [each for each in answers if isinstance(each, BadResponse)]
            if len(failures) == len(answers):
                raise failures[0]
            return answers

        return await self.transport.post("/pooling", request, PoolingResponse, read, node=node)


def _first_paid(found: dict[Input, PoolingResult], one: Input) -> PoolingResult:
    """What came back for ``one``; the same again costs nothing."""
    pooled = found[one]
    found[one] = PoolingResult(rows=pooled.rows)
    return pooled


def _fail(calls: Sequence[_Call[R]], error: BaseException) -> None:
    for call in calls:
        if not call.answer.done():
            if isinstance(error, asyncio.CancelledError):
                call.answer.cancel()
            else:
                call.answer.set_exception(error)
                call.answer.exception()  # whoever asked may have been cancelled in this very turn


def shares(usage: Usage, lengths: Sequence[int]) -> list[tuple[int, int]]:
    """A request's prompt tokens, and those of them that were cached, in whole parts that are
    nearly proportional to ``lengths``, which are above 0. Of inputs that are token ids each has
    exactly its own; of texts it is an estimate."""
    tokens, cached = _parts(usage.prompt_tokens, lengths), _parts(usage.cached_tokens, lengths)
    return list(zip(tokens, cached, strict=True))


def _parts(amount: int, lengths: Sequence[int]) -> list[int]:
    if not amount:
        return [0] * len(lengths)
    total = sum(lengths)
    marks = [amount * reached // total for reached in accumulate(lengths, initial=0)]
    return [end - begin for begin, end in pairwise(marks)]
