"""Calls of many trees in few requests, and each with its own answer or error."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from orchestrator.core.fanout import fan_out
from orchestrator.core.node import Node, Tree, root
from orchestrator.endpoints.http.wire import PoolingItem, PoolingResponse, TokenDetails, Usage
from orchestrator.endpoints.prm import coalescing
from orchestrator.endpoints.prm.coalescing import (
    BUSY,
    INPUTS,
    WINDOW,
    Coalescer,
    PoolingResult,
    shares,
)
from orchestrator.errors import (
    BadResponse,
    ContextOverflow,
    EndpointError,
    EndpointRefused,
    EndpointUnavailable,
)

NODE = root("q", seed=1, problem_id="p")


@dataclass
class Busy:
    """Answers a request, when ``gate`` opens, with a row for each input: the text's number."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    sent: list[list[str]] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    error: Callable[[list[str]], EndpointError | None] = lambda inputs: None
    cancelled: int = 0

    @property
    def endpoint(self) -> Any:
        @dataclass
        class Endpoint:
            urls: tuple[str, ...] = ("http://host",)
            model: str = "m"

        return Endpoint()

    async def post(
        self, path: str, request: Any, answer: type, read: Callable[..., Any], *, node: Node
    ) -> Any:
        assert (path, answer) == ("/pooling", PoolingResponse)
        self.sent.append(list(request.input))
        self.nodes.append(node)
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if error := self.error(list(request.input)):
            raise error
        items = [PoolingItem(index=i, data=[_number(t)]) for i, t in enumerate(request.input)]
        usage = Usage(prompt_tokens=sum(map(_tokens, request.input)))
        return read(PoolingResponse(model="m", data=items, usage=usage), "http://host/pooling")


def _number(one: str | tuple[int, ...]) -> float:
    return float(one if isinstance(one, str) else one[0])


def _tokens(one: str | tuple[int, ...]) -> int:
    return 10 if isinstance(one, str) else len(one)


async def ask(
    coalescer: Coalescer[list[PoolingResult]], inputs: list[str], node: Node
) -> list[PoolingResult]:
    return await coalescer.ask(inputs, node, lambda found, url: list(found))


async def occupied(
    **settings: Any,
) -> tuple[Busy, Coalescer[list[PoolingResult]], list[asyncio.Task[Any]]]:
    """A server so busy that calls wait for one another, and the calls that keep it so."""
    server = Busy(**settings)
    coalescer: Coalescer[list[PoolingResult]] = Coalescer(server)  # type: ignore[arg-type]
    tasks = [asyncio.create_task(ask(coalescer, [f"{i}"], NODE)) for i in range(BUSY)]
    await asyncio.sleep(0)
    assert server.sent == [[f"{i}"] for i in range(BUSY)]
    return server, coalescer, tasks


async def test_an_idle_server_is_asked_at_once() -> None:
    server, _, tasks = await occupied()
    server.gate.set()
    assert [(await task)[0].rows for task in tasks] == [[float(i)] for i in range(BUSY)]


async def test_calls_of_many_trees_share_a_request_and_get_their_own_answers() -> None:
    server, coalescer, _ = await occupied()
    calls = [asyncio.create_task(ask(coalescer, [f"{i}0", f"{i}1"], NODE)) for i in range(5)]
    await asyncio.sleep(0)
    assert len(server.sent) == BUSY
    server.gate.set()
    found = await asyncio.gather(*calls)
    assert server.sent[BUSY:] == [[f"{i}{j}" for i in range(5) for j in range(2)]]
    rows = [[pooled.rows for pooled in each] for each in found]
    assert rows == [[[float(f"{i}0")], [float(f"{i}1")]] for i in range(5)]
    assert sum(pooled.tokens for each in found for pooled in each) == 100


async def test_a_full_request_waits_for_nothing() -> None:
    server, coalescer, _ = await occupied()
    calls = [asyncio.create_task(ask(coalescer, [str(i)], NODE)) for i in range(INPUTS)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert list(map(len, server.sent)) == [1] * BUSY + [INPUTS]
    server.gate.set()
    assert [(await call)[0].rows for call in calls] == [[float(i)] for i in range(INPUTS)]


async def test_a_call_waits_no_longer_than_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coalescing, "WINDOW", 0.0)
    server, coalescer, _ = await occupied()
    call = asyncio.create_task(ask(coalescer, ["7"], NODE))
    for _ in range(500):  # a loaded machine may take its time
        if len(server.sent) > BUSY:
            break
        await asyncio.sleep(0.01)
    assert len(server.sent) > BUSY  # and nothing came back
    server.gate.set()
    assert (await call)[0].rows == [7.0]


async def test_each_call_sends_and_pays_for_its_own_inputs_and_equal_ones_once() -> None:
    """What a call takes does not depend on who asked for the same before it."""
    server, coalescer, _ = await occupied()
    calls = [asyncio.create_task(ask(coalescer, ["5", "6", "5"], NODE)) for _ in range(2)]
    await asyncio.sleep(0)
    server.gate.set()
    found = [pooled for each in await asyncio.gather(*calls) for pooled in each]
    assert server.sent[-1] == ["5", "6", "5", "6"]
    assert [pooled.rows for pooled in found] == [[5.0], [6.0], [5.0]] * 2
    assert [pooled.tokens for pooled in found] == [10, 10, 0] * 2


@pytest.mark.parametrize("kind", [ContextOverflow, EndpointRefused])
async def test_what_is_wrong_with_one_calls_inputs_fails_no_other(
    kind: type[EndpointError],
) -> None:
    def error(inputs: list[str]) -> EndpointError | None:
        return kind("no", url="u") if "13" in inputs else None

    server, coalescer, _ = await occupied(error=error)
    calls = [asyncio.create_task(ask(coalescer, [text], NODE)) for text in ("12", "13", "14")]
    await asyncio.sleep(0)
    server.gate.set()
    first, second, third = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(second, kind)
    assert not isinstance(first, BaseException) and first[0].rows == [12.0]
    assert not isinstance(third, BaseException) and third[0].rows == [14.0]


async def test_what_an_answer_lacks_is_asked_for_again_and_what_it_holds_is_not() -> None:
    server, coalescer, _ = await occupied()
    lacks = [[13.0]]

    def read(found: Sequence[PoolingResult], url: str) -> list[PoolingResult]:
        if found[0].rows in lacks:
            lacks.clear()
            raise BadResponse("no rows", url=url)
        return list(found)

    asked = [coalescer.ask([text], NODE, read) for text in ("12", "13", "14")]
    calls = [asyncio.create_task(call) for call in asked]
    await asyncio.sleep(0)
    server.gate.set()
    assert [(await call)[0].rows for call in calls] == [[12.0], [13.0], [14.0]]
    assert server.sent[BUSY:] == [["12", "13", "14"], ["13"]]


async def test_calls_wait_for_one_another_after_an_error_as_they_did_before() -> None:
    def error(inputs: list[str]) -> EndpointError | None:
        return ContextOverflow("no", url="u") if "13" in inputs else None

    server, coalescer, first = await occupied(error=error)
    calls = [asyncio.create_task(ask(coalescer, [text], NODE)) for text in ("12", "13", "14")]
    await asyncio.sleep(0)
    server.gate.set()
    await asyncio.gather(*first, *calls, return_exceptions=True)
    server.gate.clear()
    before = len(server.sent)
    again = [asyncio.create_task(ask(coalescer, [f"{i}"], NODE)) for i in range(20, 30 + BUSY)]
    await asyncio.sleep(0)
    assert len(server.sent) - before == BUSY
    server.gate.set()
    await asyncio.gather(*again)


async def test_an_endpoint_that_is_gone_is_told_to_all_and_not_asked_for_each() -> None:
    gone = EndpointUnavailable("gone", url="u")
    server, coalescer, first = await occupied(error=lambda inputs: gone)
    calls = [asyncio.create_task(ask(coalescer, [text], NODE)) for text in ("12", "13")]
    await asyncio.sleep(0)
    server.gate.set()
    assert await asyncio.gather(*first, *calls, return_exceptions=True) == [gone] * (BUSY + 2)
    assert len(server.sent) == BUSY + 1


async def test_the_most_urgent_call_says_whose_turn_it_is() -> None:
    server, coalescer, _ = await occupied()
    nodes = [
        root("q", seed=1, problem_id="p", tree=Tree(number=number, deadline=deadline))
        for number, deadline in ((1, 9.0), (3, 5.0), (2, 5.0))
    ]
    calls = [
        asyncio.create_task(ask(coalescer, [str(i)], node)) for i, node in enumerate(nodes, 20)
    ]
    await asyncio.sleep(0)
    server.gate.set()
    await asyncio.gather(*calls)
    assert server.nodes[-1] is nodes[2]


async def test_a_request_nobody_waits_for_any_more_is_cancelled() -> None:
    server, coalescer, _ = await occupied()
    calls = [asyncio.create_task(ask(coalescer, [str(i)], NODE)) for i in range(INPUTS)]
    await asyncio.sleep(0.001)
    for call in calls[1:]:
        call.cancel()
    await asyncio.sleep(0.001)
    assert server.cancelled == 0
    calls[0].cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    await asyncio.sleep(0.001)
    assert server.cancelled == 1


async def test_calls_cancelled_while_they_wait_are_not_sent() -> None:
    server, coalescer, tasks = await occupied()
    gone = asyncio.create_task(ask(coalescer, ["12"], NODE))
    kept = asyncio.create_task(ask(coalescer, ["13"], NODE))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    server.gate.set()
    await asyncio.gather(kept, *tasks)
    assert server.sent[-1] == ["13"]


@pytest.mark.parametrize("error", [None, EndpointUnavailable("gone", url="")])
async def test_a_call_that_is_cancelled_as_its_answer_comes_is_cancelled(
    error: EndpointError | None,
) -> None:
    server, coalescer, tasks = await occupied()
    call = asyncio.create_task(ask(coalescer, ["12"], NODE))

    def answering(inputs: list[str]) -> EndpointError | None:
        if inputs != ["12"]:
            return None
        asyncio.get_running_loop().call_soon(call.cancel)  # before the call sees its answer
        return error

    server.error = answering
    await asyncio.sleep(coalescing.WINDOW * 2)
    server.gate.set()
    await asyncio.gather(call, *tasks, return_exceptions=True)
    assert call.cancelled()


async def test_everything_asked_is_answered_whatever_the_load() -> None:
    server = Busy()
    server.gate.set()
    coalescer: Coalescer[list[PoolingResult]] = Coalescer(server)  # type: ignore[arg-type]
    found = await fan_out(ask(coalescer, [f"{i}", f"{i + 1}"], NODE) for i in range(500))
    assert [each[1].rows for each in found] == [[float(i + 1)] for i in range(500)]


async def test_token_ids_take_their_own_tokens_whoever_shares_the_request() -> None:
    taken = []
    for company in ([], [(1,) * 7], [(1,) * 3, (2,) * 11, (3,)]):
        server, coalescer, _ = await occupied()
        asked = [*company, (5, 6), (7, 8, 9, 10, 11)]
        calls = [
            asyncio.create_task(coalescer.ask([ids], NODE, lambda found, url: list(found)))
            for ids in asked
        ]
        await asyncio.sleep(0)
        server.gate.set()
        taken.append([(await call)[0].tokens for call in calls][len(company) :])
        assert len(server.sent[BUSY:]) == 1
    assert taken == [[2, 5]] * 3


def test_tokens_are_shared_out_by_length_and_none_is_lost() -> None:
    usage = Usage(prompt_tokens=100)
    assert shares(usage, [1, 1, 2]) == [(25, 0), (25, 0), (50, 0)]
    assert sum(tokens for tokens, _ in shares(Usage(prompt_tokens=7), [3, 3, 3])) == 7


@pytest.mark.parametrize(
    ("lengths", "tokens", "cached"),
    [
        ([1, 1, 2], [2, 3, 5], [1, 1, 3]),
        ([4], [10], [5]),
        ([3, 7], [3, 7], [1, 4]),
    ],
)
def test_a_requests_tokens_are_shared_out_by_length_to_the_last(
    lengths: list[int], tokens: list[int], cached: list[int]
) -> None:
    usage = Usage(prompt_tokens=10, prompt_tokens_details=TokenDetails(cached_tokens=5))
    assert shares(usage, lengths) == list(zip(tokens, cached, strict=True))
    assert shares(Usage(), lengths) == [(0, 0)] * len(lengths)


def test_calls_wait_for_one_another_from_eight_requests_a_replica_on_64_inputs_or_10_ms() -> None:
    assert (BUSY, INPUTS, WINDOW) == (8, 64, 0.01)
