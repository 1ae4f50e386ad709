"""Twenty problems, one request in five of which is answered badly each time: those branches fail,
the others are answered as if there were none, by either sender."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from orchestrator.core.fanout import fan_out
from orchestrator.core.node import root
from orchestrator.core.ports import Sampling
from orchestrator.endpoints.hosted.sender import HostedSender
from orchestrator.endpoints.http.retry import RetryPolicy
from orchestrator.endpoints.http.sender import AiohttpSender, Sender
from orchestrator.endpoints.policies.http_policy import ChatPolicy
from orchestrator.endpoints.transport.evidence import FEW
from orchestrator.endpoints.transport.transport import Endpoint, Transport
from orchestrator.errors import BadResponse, EndpointError
from orchestrator.tasks.math.task import MathTask
from orchestrator.tasks.prompts import PROMPTS
from tests.integration.misbehaving import (
    CHAT,
    POOLING,
    Answer,
    Server,
    changed,
    html,
    reset_mid_body,
    running,
    status,
    text,
)
from tests.integration.ports import prm_at, problem

WHOLE = Sampling(temperature=0.8, max_tokens=64, until="end")
RUNNING = RetryPolicy(patience=120.0)
PROBLEMS, REQUESTS = 20, 5


def stated(**error: Any) -> Answer:
    return text(json.dumps({"error": error}), "application/json")


def surrogate() -> Answer:
    good = '{"model": "policy", "choices": [{"index": 0, "message": {"content": "\\ud83d"}}]}'
    return text(good, "application/json")


BAD: dict[str, tuple[Answer, str]] = {
    "an error in a 200": (stated(message="the model is asleep", code=502), "the model is asleep"),
    "an error without a code": (stated(message="the model is asleep"), "the model is asleep"),
    "an empty body": (text(""), "its body is empty"),
    "no choices": (changed(lambda good: good["choices"].clear()), "0 choices where 2"),
    "null choices": (changed(lambda good: good.update(choices=None)), "choices"),
    "another index": (changed(lambda good: good["choices"][1].update(index=7)), "did not number"),
    "n is ignored": (changed(lambda good: good["choices"].pop()), "1 choices where 2"),
    "half a character": (surrogate(), "lone surrogate"),
    "a page": (html(), "an HTML page"),
    "a broken connection": (reset_mid_body(), "broke off the connection"),
    "a bad gateway": (status(502, "the engine is out"), "the engine is out"),
}
SENDERS: dict[str, Callable[[str], Sender]] = {
    "aiohttp": lambda url: AiohttpSender(),
    "openai": lambda url: HostedSender((url,), api_key="k"),
}


@pytest.mark.parametrize("sender", SENDERS)
@pytest.mark.parametrize("kind", BAD)
async def test_one_request_in_five_that_is_answered_badly_holds_nobody_up(
    server: Server, kind: str, sender: str
) -> None:
    bad, words = BAD[kind]
    server.delay = 0.05
    server.on(CHAT, bad, when=lambda body: "badly" in str(body["messages"]), forever=True)
    endpoint = Endpoint(urls=(server.url,), model="policy", retry=RUNNING, checks_model=False)
    failures: list[EndpointError] = []
    async with Transport(endpoint, SENDERS[sender](server.url)) as transport:
        policy = ChatPolicy(transport, PROMPTS["qwen"].asking(MathTask.instruction))

        async def tree(number: int) -> None:
            for level in range(REQUESTS):
                name = f"{number}.{level}" + (" badly" if (number + level) % 5 == 0 else "")
                try:
                    children = await policy.extend(problem(name), 2, WHOLE)
                    assert [child.finish for child in children] == ["stop"] * 2
                except EndpointError as failure:
                    failures.append(failure)

        await fan_out(map(tree, range(PROBLEMS)))
        dispatcher = transport.dispatcher
        assert [each.breaker.state for each in dispatcher.replicas] == ["closed"]
        assert dispatcher.retry_budget.spent == 0
    assert len(failures) == PROBLEMS
    assert {type(failure) for failure in failures} == {BadResponse}
    assert all(words in str(failure) for failure in failures)
    asked = Counter(json.dumps(call.body["messages"]) for call in server.seen(CHAT))
    controls = 5  # a good request, sent again to see whether it is the server
    tries = {text: count for text, count in asked.items() if "badly" in text}
    assert set(tries.values()) == {FEW}
    assert sum(asked.values()) - sum(tries.values()) <= PROBLEMS * (REQUESTS - 1) + controls


async def test_an_engine_that_fails_at_one_prompt_in_five_refuses_those_alone(
    server: Server,
) -> None:
    server.delay = 0.05
    bad = status(500, "an illegal memory access")
    server.on(CHAT, bad, when=lambda body: "badly" in str(body["messages"]), forever=True)
    endpoint = Endpoint(urls=(server.url,), model="policy", retry=RUNNING)
    async with Transport(endpoint) as transport:
        policy = ChatPolicy(transport, PROMPTS["qwen"].asking(MathTask.instruction))
        names = [f"{i}" + (" badly" if i % 5 == 0 else "") for i in range(100)]
        trees = await fan_out(policy.extend(problem(name), 2, WHOLE) for name in names)
    assert [tree[0].finish for tree in trees[::5]] == ["refused"] * 20
    assert Counter(child.finish for tree in trees for child in tree)["stop"] == 160


@pytest.mark.parametrize(
    ("bad", "finish"),
    [
        (status(400, "I cannot read that"), "refused"),
        (status(500, "an illegal memory access"), "refused"),
        (status(400, "Content Exists Risk"), "filtered"),
        (status(400, "The input (9000 tokens) is longer than the model's context length"),
         "overflow"),
    ],
)  # fmt: skip
async def test_one_text_that_a_prm_refuses_ends_its_branch_and_no_siblings(
    server: Server, bad: Answer, finish: str
) -> None:
    server.on(POOLING, bad, when=lambda body: "odd" in str(body["input"]), forever=True)
    nodes = [problem().child(i, (step,)) for i, step in enumerate(("One.", "An odd one.", "Two."))]
    async with prm_at(server.url, retry=RUNNING) as prm:
        scored = await prm.score(nodes)
    assert [node.finish for node in scored] == [None, finish, None]
    assert [len(node.scores) for node in scored] == [1, 0, 1]


async def test_too_few_scores_for_one_text_each_time_fail_that_text(server: Server) -> None:
    async def bad(request: web.Request, good: Any) -> web.StreamResponse:
        for item, said in zip(good["data"], (await request.json())["input"], strict=True):
            if "odd" in said:
                item["data"].clear()
        return web.json_response(good)

    server.on(POOLING, bad, when=lambda body: "odd" in str(body["input"]), forever=True)
    async with prm_at(server.url, retry=RUNNING) as prm:

        async def score(number: int) -> str:
            step = "An odd step." if number % 5 == 0 else "A step."
            node = root(f"What is {number}?", seed=1, problem_id=f"{number}").child(0, (step,))
            try:
                await prm.score([node])
            except BadResponse as failure:
                return str(failure)
            return "scored"

        said = await fan_out(map(score, range(50)))
        (replica,) = prm.transport.dispatcher.replicas
        assert replica.breaker.state == "closed"
    assert all("scored 0 steps of 1" in each for each in said[::5])
    assert said.count("scored") == 40


async def test_a_refusal_is_known_through_either_sender() -> None:
    for make in SENDERS.values():
        async with running() as server:
            server.on(CHAT, status(400, "not that one"), when=lambda body: "odd" in str(body),
                      forever=True)  # fmt: skip
            endpoint = Endpoint(urls=(server.url,), model="policy", checks_model=False)
            async with Transport(endpoint, make(server.url)) as transport:
                policy = ChatPolicy(transport, PROMPTS["qwen"].asking(MathTask.instruction))
                (child,) = await policy.extend(problem("odd"), 2, WHOLE)
                assert child.finish == "refused"
                assert len(await policy.extend(problem("even"), 2, WHOLE)) == 2
