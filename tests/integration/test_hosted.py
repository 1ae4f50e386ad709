"""Hosted models through the openai SDK, against a server as strict as OpenAI's own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from orchestrator.core.node import root
from orchestrator.core.ports import Sampling
from orchestrator.endpoints.hosted.dialect import Dialect
from orchestrator.endpoints.hosted.sender import HostedSender
from orchestrator.endpoints.http.retry import RetryPolicy
from orchestrator.endpoints.http.sender import HttpResponse
from orchestrator.endpoints.http.wire import ChatRequest, ChatResponse, encode
from orchestrator.endpoints.policies.emulated_continuation import InstructedPolicy
from orchestrator.endpoints.policies.http_policy import ChatPolicy
from orchestrator.endpoints.probing.hosted import probe_hosted
from orchestrator.endpoints.transport.transport import Endpoint, Transport
from orchestrator.errors import EndpointRefused, EndpointUnavailable, OrchardError
from orchestrator.tasks.math.task import MathTask
from orchestrator.tasks.prompts import PROMPTS
from tests.integration import standin_openai as openai

ONCE = RetryPolicy(attempts=1)
WHOLE = Sampling(temperature=0.7, max_tokens=400, until="end")
STEP = Sampling(temperature=0.7, max_tokens=400, until="step")
ROOT = root("What is 1 + 1?", seed=1, problem_id="p")
HELLO = [{"role": "user", "content": "Hello"}]
AZURE = {"deployments": {"my-deployment": "gpt-4o"}}


@asynccontextmanager
async def hosted(
    server: openai.OpenAI, model: str = "gpt-4o", **sender: Any
) -> AsyncIterator[tuple[Transport, HostedSender]]:
    settings = {"api_key": server.key, "timeout": 5.0} | sender
    speaks = HostedSender((server.url,), **settings)
    endpoint = Endpoint(urls=(server.url,), model=model, retry=ONCE, checks_model=False)
    async with Transport(endpoint, speaks) as transport:
        yield transport, speaks


async def say(transport: Transport, **more: Any) -> ChatResponse:
    request = ChatRequest(model=transport.endpoint.model, messages=HELLO, **more)
    return await transport.post("/v1/chat/completions", request, ChatResponse)


async def test_gpt_4o_answers_through_the_sdk() -> None:
    async with openai.running() as server, hosted(server) as (transport, _):
        answer = await say(transport, n=2, temperature=0.5, max_tokens=50, seed=7)
        assert [choice.index for choice in answer.choices] == [0, 1]
        assert answer.usage.cached_tokens == answer.usage.prompt_tokens // 2
        (call,) = server.calls
        assert call.body == {
            "model": "gpt-4o", "messages": HELLO, "n": 2, "temperature": 0.5, "max_tokens": 50,
            "seed": 7,
        }  # fmt: skip
        assert call.headers["User-Agent"].startswith("AsyncOpenAI")


async def test_azure_has_deployments_in_its_paths_a_version_and_a_header_for_the_key() -> None:
    async with openai.running(openai.OpenAI(**AZURE)) as server:
        azure = {"api": "azure", "api_version": "2025-03-01-preview"}
        async with hosted(server, "my-deployment", **azure) as (transport, _):
            assert (await say(transport)).model == "gpt-4o-2024-08-06"
        (call,) = server.calls
        assert call.path == "/openai/deployments/my-deployment/chat/completions"
        assert call.query == {"api-version": "2025-03-01-preview"}
        assert call.headers["api-key"] == server.key and "Authorization" not in call.headers


async def test_what_a_reasoning_model_refuses_is_learned_once_and_left_out_from_then_on() -> None:
    async with openai.running() as server, hosted(server, "o4-mini") as (transport, sender):
        wishes = {"temperature": 0.7, "top_p": 0.9, "max_tokens": 400, "stop": ["\n\n"], "n": 2}
        answer = await say(transport, **wishes)
        assert len(answer.choices) == 1
        assert server.calls[-1].body == {
            "model": "o4-mini", "messages": HELLO, "max_completion_tokens": 400,
        }  # fmt: skip
        assert sender.dialect.refused == ("max_tokens", "n", "stop", "temperature", "top_p")
        asked = len(server.calls)
        await say(transport, **wishes)
        assert len(server.calls) == asked + 1


def instructed(transport: Transport) -> InstructedPolicy:
    task = MathTask()
    return InstructedPolicy(
        transport,
        PROMPTS["qwen"].asking(task.instruction),
        form=task.instruction.form,
        is_complete=task.is_complete,
    )


async def test_requests_side_by_side_learn_the_same_and_all_are_answered() -> None:
    async with openai.running() as server, hosted(server, "o4-mini") as (transport, sender):
        answers = await asyncio.gather(
            *(say(transport, temperature=0.7, max_tokens=400) for _ in range(8))
        )
        assert len(answers) == server.answered == 8
        assert sender.dialect == Dialect(refused=("max_tokens", "temperature"))


async def test_a_bound_beyond_the_models_longest_answer_becomes_that() -> None:
    async with openai.running() as server, hosted(server) as (transport, sender):
        await say(transport, max_tokens=100_000)
        assert server.calls[-1].body["max_tokens"] == 16_384
        assert sender.dialect.most_tokens == 16_384


async def test_what_a_reasoning_model_thinks_is_counted_and_so_is_the_prompts_cached_part() -> None:
    async with openai.running() as server, hosted(server, "o4-mini") as (transport, _):
        policy = ChatPolicy(transport, PROMPTS["qwen"].asking(MathTask.instruction))
        (child,) = await policy.extend(ROOT, 1, WHOLE)
        (usage,) = server.paid
        assert child.step_tokens == usage["completion_tokens"] > openai.MODELS["o4-mini"].thinks
        assert child.cached_tokens == usage["prompt_tokens"] // 2


@pytest.mark.parametrize(
    ("model", "n", "logprobs", "refused"),
    [
        ("gpt-4o", True, True, ()),
        (
            "o4-mini",
            False,
            False,
            ("logprobs", "max_tokens", "n", "stop", "temperature", "top_logprobs", "top_p"),
        ),
    ],
)
async def test_a_probe_finds_out_what_a_hosted_model_can_do(
    model: str, n: bool, logprobs: bool, refused: tuple[str, ...]
) -> None:
    async with openai.running() as server, hosted(server, model) as (transport, sender):
        can = await probe_hosted(transport, "openai")
        assert (can.n, can.logprobs, sender.dialect.refused) == (n, logprobs, refused)
        assert (can.continuation, can.token_ids, can.ends_told) == (None, False, False)
        assert can.seed_honoured
        assert server.answered == 2


@pytest.mark.parametrize(("thought", "took"), [(1_500, 1_504), (10**6, 2_048), (100, None)])
async def test_a_hosted_model_that_thinks_long_is_asked_again_with_more_tokens(
    thought: int, took: int | None
) -> None:
    def thinks(body: dict[str, Any]) -> web.Response:
        good = openai.completion(body, openai.MODELS["gpt-4o"])
        most = body["max_tokens"]
        if most <= thought:
            for choice in good["choices"]:
                choice["message"]["content"], choice["finish_reason"] = "", "length"
        good["usage"]["completion_tokens"] = min(most, thought + 4) * len(good["choices"])
        return web.json_response(good)

    server = openai.OpenAI(instead=thinks)
    async with openai.running(server), hosted(server) as (transport, _):
        assert (await probe_hosted(transport, "openai")).tokens_to_answer == took


async def test_a_model_that_is_not_served_is_refused_with_the_nearest_that_is() -> None:
    async with openai.running() as server, hosted(server, "gpt-4o-mimi") as (transport, _):
        with pytest.raises(EndpointRefused, match="did you mean 'gpt-4o-mini'"):
            await probe_hosted(transport, "openai")


async def test_a_deployment_that_is_not_there_is_refused_by_its_name() -> None:
    async with openai.running(openai.OpenAI(**AZURE)) as server:
        azure = {"api": "azure", "api_version": "2025-03-01-preview"}
        async with hosted(server, "gpt-4o", **azure) as (transport, _):
            with pytest.raises(EndpointRefused, match="has no deployment 'gpt-4o'"):
                await probe_hosted(transport, "azure")


async def test_rate_limit_headers_come_through_on_answers_and_on_refusals() -> None:
    def limited(body: dict[str, Any]) -> web.Response:
        headers = {**openai.limits(0), "Retry-After": "2"}
        return openai.error(429, "Rate limit reached", code="rate_limit_exceeded", headers=headers)

    async with openai.running() as server, hosted(server) as (transport, sender):
        body = encode(ChatRequest(model="gpt-4o", messages=HELLO))
        url = f"{server.url}/v1/chat/completions"
        answer = await sender.send("POST", url, body)
        assert answer.headers["X-RateLimit-Remaining-Tokens"] == str(499 * 60)
        server.instead = limited
        answer = await sender.send("POST", url, body)
        assert (answer.status, answer.headers["x-ratelimit-remaining-requests"]) == (429, "0")
        with pytest.raises(EndpointUnavailable) as caught:
            await say(transport)
        assert caught.value.retry_after == 2.0


@pytest.mark.parametrize(("kind", "limit"), [("requests", 10), ("tokens", 300)])
async def test_what_the_headers_leave_is_what_the_dispatcher_sends(kind: str, limit: int) -> None:
    def nothing_left(body: dict[str, Any]) -> web.Response:
        good = openai.completion(body, openai.MODELS["gpt-4o"])
        told = {"limit": str(limit), "remaining": "0", "reset": "2s"}
        headers = {f"x-ratelimit-{each}-{kind}": value for each, value in told.items()}
        return web.json_response(good, headers=headers)

    clock = asyncio.get_running_loop().time
    server = openai.OpenAI(instead=nothing_left)
    async with openai.running(server), hosted(server) as (transport, _):
        await say(transport, max_tokens=20)
        began = clock()
        await asyncio.gather(*(say(transport, max_tokens=20) for _ in range(6)))
        each = transport.dispatcher.rates.estimator.estimate(100, 1, 20).mean
        least = 6 * (1 if kind == "requests" else each) / limit * 2
        assert clock() - began > 0.7 * least > 0.3
        assert transport.status().rate_limited > 0.3


async def test_a_spent_quota_ends_the_run_where_a_rate_limit_would_wait() -> None:
    def spent(body: dict[str, Any]) -> web.Response:
        return openai.error(
            429, "You exceeded your current quota, please check your plan and billing details.",
            code="insufficient_quota", kind="insufficient_quota",
        )  # fmt: skip

    server = openai.OpenAI(instead=spent)
    async with openai.running(server), hosted(server) as (transport, _):
        with pytest.raises(EndpointRefused, match="has no quota left"):
            await say(transport)


async def test_a_wrong_key_is_refused_and_never_told() -> None:
    async with openai.running() as server:
        async with hosted(server, api_key="sk-not-this-one") as (transport, sender):
            with pytest.raises(EndpointRefused, match="refuses the API key") as caught:
                await say(transport)
            answer = await sender.send("GET", f"{server.url}/v1/models", None)
        assert b"Incorrect API key provided: ***." in answer.content
        assert "sk-not" not in str(caught.value) + repr(caught.value.__cause__)


async def test_a_key_that_is_echoed_in_an_error_or_an_answer_is_blotted_out() -> None:
    def echo(body: dict[str, Any]) -> web.Response:
        return openai.error(400, f"what is 'Authorization: Bearer {openai.OpenAI().key}'?")

    server = openai.OpenAI(instead=echo)
    async with openai.running(server), hosted(server) as (transport, _):
        with pytest.raises(OrchardError) as caught:
            await say(transport)
    assert "Bearer ***" in str(caught.value) and "sk-secret" not in str(caught.value)


@pytest.mark.parametrize("until", ["end", "step"])
async def test_a_filtered_prompt_is_one_empty_answer_and_no_error(until: Any) -> None:
    def filtered(body: dict[str, Any]) -> web.Response:
        return openai.error(
            400, "The response was filtered due to the prompt triggering a content policy.",
            code="content_filter", param="prompt",
        )  # fmt: skip

    server = openai.OpenAI(instead=filtered)
    async with openai.running(server), hosted(server) as (transport, _):
        policy = instructed(transport)
        (child,) = await policy.extend(ROOT, 4, replace(WHOLE, until=until))
    assert (child.finish, child.steps) == ("filtered", ())


async def test_an_answer_that_is_filtered_midway_ends_there() -> None:
    def cut(body: dict[str, Any]) -> web.Response:
        good = openai.completion(body, openai.MODELS["gpt-4o"])
        good["choices"][1] |= {"finish_reason": "content_filter", "message": {"content": None}}
        return web.json_response(good)

    server = openai.OpenAI(instead=cut)
    async with openai.running(server), hosted(server) as (transport, _):
        policy = ChatPolicy(transport, PROMPTS["qwen"].asking(MathTask.instruction))
        good, filtered = await policy.extend(ROOT, 2, WHOLE)
    assert (good.finish, filtered.finish, filtered.steps) == ("stop", "filtered", ())


@pytest.mark.parametrize("model", ["gpt-4o", "o4-mini"])
async def test_steps_are_asked_for_with_those_before_them_until_one_states_the_answer(
    model: str,
) -> None:
    async with openai.running() as server, hosted(server, model) as (transport, _):
        policy, node, told = instructed(transport), ROOT, []
        while not node.is_finished:
            (node,) = await policy.extend(node, 1, STEP)
            told.append(server.calls[-1].body["messages"])
    assert len(node.steps) == openai.DEPTH
    assert all(step.endswith("\n\n") for step in node.steps[:-1])
    assert r"\boxed" in node.steps[-1]
    for depth, messages in enumerate(told):
        assert [message["role"] for message in messages] == ["system", "user"]
        quoted = "".join(node.steps[:depth]).strip()
        assert quoted in messages[-1]["content"]


async def test_a_route_or_a_wish_no_hosted_api_has_is_refused_without_asking() -> None:
    async with openai.running() as server, hosted(server) as (transport, sender):
        assert (await sender.send("POST", f"{server.url}/pooling", b"{}")).status == 404
        with pytest.raises(EndpointRefused, match="does not go on with an open assistant message"):
            await say(transport, continue_final_message=True)
        assert server.calls == []


async def test_silence_and_a_dead_server_are_unavailable_and_nonsense_is_refused() -> None:
    server = openai.OpenAI(delay=60)
    async with openai.running(server), hosted(server, timeout=0.2) as (transport, _):
        with pytest.raises(EndpointUnavailable, match=r"did not answer within 0\.2 s"):
            await say(transport)
    async with hosted(server) as (transport, _):
        with pytest.raises(EndpointUnavailable, match=r"nothing answers at .*connection refused"):
            await say(transport)
    async with HostedSender(("nonsense",), api_key="k") as sender:
        with pytest.raises(EndpointRefused, match="is not a URL"):
            await sender.send("POST", "nonsense/v1/chat/completions", b"{}")


async def test_cancelling_closes_the_connection() -> None:
    gone = asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            gone.set()
            raise
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", slow)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with HostedSender((url,), api_key="k") as sender:
            task: asyncio.Task[HttpResponse] = asyncio.create_task(
                sender.send("POST", f"{url}/v1/chat/completions", b"{}")
            )
            await asyncio.sleep(0.2)
            task.cancel()
            await asyncio.wait_for(gone.wait(), 5)
    finally:
        await runner.cleanup()
