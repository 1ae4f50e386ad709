"""What policies and PRMs send over real HTTP, and how their requests end."""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Iterator

import pytest

from orchestrator.core.fanout import fan_out
from orchestrator.core.ports import Models
from orchestrator.endpoints.admission.adaptive_limit import FIRST
from orchestrator.endpoints.policies.http_policy import ChatPolicy, TokenPolicy
from orchestrator.endpoints.transport.transport import Endpoint, Transport
from orchestrator.errors import ContextOverflow, EndpointError, EndpointRefused
from orchestrator.strategies import BeamSearch
from tests.integration.misbehaving import (
    CHAT,
    COMPLETIONS,
    DEPTH,
    MODELS,
    POOLING,
    Server,
    hang,
    html,
    overflow,
    reset_mid_body,
    running,
    status,
)
from tests.integration.ports import ONCE, STEP, WHOLE, failure, policy_at, prm_at, problem

KEY = "sk-orchard-secret"


# A prompt beyond the context ends one branch


async def test_an_overflow_is_a_child_that_ended_so(server: Server) -> None:
    server.on(CHAT, overflow(), forever=True)
    for kind in (TokenPolicy, ChatPolicy):
        async with policy_at(server.url, kind=kind) as policy:
            (child,) = await policy.extend(problem(), 4, STEP)
        assert (child.finish, child.steps) == ("overflow", ())


async def test_the_transport_tells_an_overflow_from_other_refusals(server: Server) -> None:
    server.on(POOLING, overflow(), forever=True)
    async with prm_at(server.url) as prm:
        (node,) = await prm.score([problem().child(0, ("One.\n\n",))])
        assert node.finish == "overflow"
    with pytest.raises(ContextOverflow):
        async with Transport(Endpoint(urls=(server.url,), model="prm")) as transport:
            server.on(MODELS, overflow())
            await transport.models(server.url)


async def test_a_beam_that_overflows_ends_alone_and_the_tree_goes_on(server: Server) -> None:
    async with policy_at(server.url) as policy, prm_at(server.url) as prm:
        search = BeamSearch(n=4, width=2)
        first = await policy.extend(problem(), 4, STEP)
        scored = await prm.score(first)
        weakest_beam = sorted(scored, key=lambda node: -node.scores[-1])[1]
        ids = json.loads(b"[%b]" % b",".join(weakest_beam.token_ids or ()))
        server.on(COMPLETIONS, overflow(), when=lambda body: body["prompt"] == ids, forever=True)
        leaves = await search(problem(), Models(policy, prm))
    assert sorted((leaf.finish, len(leaf.steps)) for leaf in leaves) == [
        ("overflow", 1),
        ("stop", DEPTH),
    ]


async def test_only_the_sibling_too_long_for_the_prm_is_lost(server: Server) -> None:
    server.on(
        POOLING, overflow(), when=lambda body: any("long" in t for t in body["input"]), forever=True
    )
    nodes = [problem().child(i, (step,)) for i, step in enumerate(("One.", "A long one.", "Two."))]
    async with prm_at(server.url) as prm:
        scored = await prm.score(nodes)
    assert [node.finish for node in scored] == [None, "overflow", None]
    assert [len(node.scores) for node in scored] == [1, 0, 1]


# What is sent


async def test_token_ids_are_sent_from_the_second_step_on_and_never_text(server: Server) -> None:
    async with policy_at(server.url) as policy:
        node = problem()
        for _ in range(DEPTH):
            node = (await policy.extend(node, 2, STEP))[1]
    assert node.is_finished
    first, *others = server.generated()
    assert (first.path, first.body["return_token_ids"]) == (CHAT, True)
    assert [call.path for call in others] == [COMPLETIONS] * (DEPTH - 1)
    for level, call in enumerate(others, 1):
        assert "messages" not in call.body
        assert all(isinstance(id, int) for id in call.body["prompt"])
        parts = (node.token_ids or ())[: 1 + level]
        assert call.body["prompt"] == json.loads(b"[%b]" % b",".join(parts))
        assert call.body["return_token_ids"]


async def test_chat_continues_the_open_assistant_message(server: Server) -> None:
    async with policy_at(server.url, kind=ChatPolicy) as policy:
        child = (await policy.extend(problem(), 2, STEP))[0]
        await policy.extend(child, 2, STEP)
    first, second = server.generated()
    assert "continue_final_message" not in first.body
    assert second.body["continue_final_message"] is True
    assert second.body["add_generation_prompt"] is False
    assert second.body["messages"][-1] == {"role": "assistant", "content": child.text}
    assert "return_token_ids" not in second.body


async def test_a_step_ends_at_the_separator_and_a_solution_at_its_end(server: Server) -> None:
    async with policy_at(server.url) as policy:
        await policy.extend(problem(), 2, STEP)
        (whole,) = await policy.extend(problem(), 1, WHOLE)
    step, solution = server.generated()
    assert (step.body["stop"], step.body["include_stop_str_in_output"]) == (["\n\n"], True)
    assert "stop" not in solution.body and "include_stop_str_in_output" not in solution.body
    assert (len(whole.steps), whole.finish) == (DEPTH, "stop")


async def test_all_requests_of_one_question_go_to_one_replica() -> None:
    async with running() as one, running() as two, running() as three:
        urls = [one.url, f"{two.url}/v1", f"{three.url}/"]
        async with policy_at(*urls) as policy:
            for i in range(12):
                child = (await policy.extend(problem(str(i)), 2, STEP))[0]
                await policy.extend(child, 2, STEP)
        served = [
            {call.body["messages"][0]["content"] for call in server.seen(CHAT)}
            for server in (one, two, three)
        ]
        continued = [len(server.seen(COMPLETIONS)) for server in (one, two, three)]
    assert all(served) and len(set().union(*served)) == 12
    assert [len(questions) for questions in served] == continued


async def test_the_key_is_sent_and_shows_nowhere(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.key = KEY
    async with policy_at(server.url, api_key=KEY) as policy:
        assert KEY not in repr(policy) + repr(policy.transport) + repr(policy.transport.endpoint)
        await policy.extend(problem(), 2, STEP)
    assert [call.key for call in server.calls] == [f"Bearer {KEY}"]
    for bad in (status(500), html(), reset_mid_body(), status(400, "no"), overflow()):
        server.on(CHAT, bad)
    server.on(CHAT, hang(), forever=True)
    errors: list[BaseException] = []
    async with policy_at(server.url, api_key=KEY, retry=ONCE, timeout=0.2) as policy:
        for _ in range(6):
            try:
                await policy.extend(problem(), 2, STEP)
            except EndpointError as error:
                errors += _chain(error)
    errors.append(await failure(server, api_key=f"{KEY}-wrong"))
    assert len(errors) > 5
    assert not any(KEY in str(error) + repr(error) + repr(error.args) for error in errors)
    assert KEY not in caplog.text


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


# Many at once, and none left behind


async def until(reached: Callable[[], bool], seconds: float = 5.0) -> None:
    for _ in range(round(seconds / 0.01)):
        if reached():
            return
        await asyncio.sleep(0.01)


async def test_cancelling_a_task_closes_its_connection(server: Server) -> None:
    server.on(CHAT, hang(), forever=True)
    async with policy_at(server.url) as policy:
        task = asyncio.create_task(policy.extend(problem(), 2, STEP))
        await until(lambda: server.in_flight == 1)
        cancelled = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: server.in_flight == 0)
    (call,) = server.calls
    assert call.left is not None and call.left - cancelled < 0.5


async def test_when_one_branch_fails_the_requests_of_the_others_end(server: Server) -> None:
    server.on(CHAT, status(401), when=lambda body: "p3" in str(body), forever=True)
    server.on(CHAT, hang(), forever=True)
    async with policy_at(server.url) as policy:
        with pytest.raises(EndpointRefused):
            await fan_out(policy.extend(problem(f"p{i}"), 2, STEP) for i in range(8))
        await asyncio.sleep(0.2)
        assert server.in_flight == 0


async def test_a_server_that_takes_more_is_given_more(server: Server) -> None:
    server.delay = 0.2
    async with policy_at(server.url) as policy:
        children = await fan_out(policy.extend(problem(str(i)), 4, STEP) for i in range(500))
    assert server.most_in_flight > FIRST
    assert [len(siblings) for siblings in children] == [4] * 500


async def test_no_more_requests_are_in_flight_than_the_endpoint_allows(server: Server) -> None:
    server.delay = 0.01
    async with policy_at(server.url, concurrency=5) as policy:
        await fan_out(policy.extend(problem(str(i)), 1, STEP) for i in range(40))
    assert server.most_in_flight == 5
