"""Policies, PRMs and their transport over real HTTP, against servers that misbehave and one that
is real."""

import asyncio
import itertools
import json
import logging
import random
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.core.fanout import fan_out
from orchestrator.core.ports import PRM, Policy, Sampling
from orchestrator.core.tree import Node, root
from orchestrator.endpoints.concurrency import FIRST
from orchestrator.endpoints.policy import ChatPolicy, HttpPolicy, TokenPolicy
from orchestrator.endpoints.prm import MathShepherdPRM, QwenMathPRM
from orchestrator.endpoints.probe import check_served, probe_policy, probe_prm
from orchestrator.endpoints.retry import RetryPolicy
from orchestrator.endpoints.transport import Endpoint, Transport
from orchestrator.errors import (
    BadResponse,
    ContextOverflow,
    EndpointError,
    EndpointRefused,
    EndpointUnavailable,
)
from orchestrator.strategies import DVTS, BeamSearch
from orchestrator.tasks.prompts import PROMPTS
from servers.tiny.launch import Spec, serve
from servers.tiny.random_weights import write_random_model
from tests.integration.misbehaving import (
    CHAT,
    COMPLETIONS,
    DEPTH,
    MODELS,
    POOLING,
    Answer,
    Server,
    changed,
    hang,
    html,
    overflow,
    reset_mid_body,
    running,
    status,
    text,
)

KEY = "sk-orchard-secret"
STEP = Sampling(temperature=0.8, max_tokens=24, until="step")
WHOLE = Sampling(temperature=0.8, max_tokens=64, until="end")
QUICKLY = RetryPolicy(attempts=3, first_wait=0.01, longest_wait=0.02)
ONCE = RetryPolicy(attempts=1)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running() as server:
        yield server


@asynccontextmanager
async def policy_at(
    *urls: str, kind: type[HttpPolicy] = TokenPolicy, model: str = "policy", **settings: Any
) -> AsyncIterator[HttpPolicy]:
    settings = {"retry": QUICKLY, **settings}
    async with Transport(Endpoint(urls=urls, model=model, **settings)) as transport:
        yield kind(transport, PROMPTS["tiny"].messages)


@asynccontextmanager
async def prm_at(url: str, *, retry: RetryPolicy = QUICKLY) -> AsyncIterator[QwenMathPRM]:
    async with Transport(Endpoint(urls=(url,), model="prm", retry=retry)) as transport:
        yield QwenMathPRM(transport=transport)


def problem(name: str = "p") -> Node:
    return root(f"What is {name}?", seed=7, problem_id=name)


async def failure(server: Server, *, n: int = 2, **settings: Any) -> EndpointError:
    """What one request for ``n`` first steps fails with: always one clear line."""
    async with policy_at(server.url, **settings) as policy:
        with pytest.raises(EndpointError) as caught:
            await policy.extend(problem(), n, STEP)
    assert server.url in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# Endpoints that do not answer


async def test_a_refused_connection_is_retried_with_jitter_and_then_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn: list[tuple[float, float]] = []
    uniform = random.uniform
    monkeypatch.setattr(
        random, "uniform", lambda low, high: drawn.append((low, high)) or uniform(low, high)
    )
    url = f"http://127.0.0.1:{free_port()}"
    retry = RetryPolicy(attempts=4, first_wait=0.02, longest_wait=0.05)
    async with policy_at(url, retry=retry) as policy:
        with pytest.raises(EndpointUnavailable) as caught:
            await policy.extend(problem(), 1, STEP)
    assert drawn[:3] == [(0, 0.02), (0, 0.04), (0, 0.05)]
    assert str(caught.value) == (
        f"nothing answers at {url}{CHAT} (connection refused): is the server running, and the port "
        "right?"
    )


async def test_a_host_that_does_not_exist_is_named() -> None:
    async with policy_at("http://no-such-host.invalid:8000", retry=ONCE) as policy:
        with pytest.raises(EndpointUnavailable, match=r"nothing answers at http://no-such-host"):
            await policy.extend(problem(), 1, STEP)


@pytest.mark.parametrize("url", ["localhost:8000", "http//localhost:8000", "policy.example", ""])
async def test_a_url_that_is_none_says_how_one_is_written(url: str) -> None:
    async with policy_at(url) as policy:
        with pytest.raises(EndpointRefused, match=r"is not a URL: write it as http://host:port"):
            await policy.extend(problem(), 1, STEP)


@pytest.mark.parametrize("code", [429, 503])
async def test_retry_after_is_the_least_wait(server: Server, code: int) -> None:
    server.on(CHAT, status(code, retry_after=0.4))
    async with policy_at(server.url) as policy:
        await policy.extend(problem(), 2, STEP)
    first, second = server.seen(CHAT)
    assert 0.4 <= second.at - first.at < 1.5


@pytest.mark.parametrize(
    "bad",
    [
        status(503),
        status(500),
        status(429),
        status(408),
        status(429, retry_after=-1),
        reset_mid_body(),
        html(),
        text("{"),
        changed(lambda good: good.update(choices="none")),
    ],
    ids=["503", "500", "429", "408", "429<0", "reset", "html", "torn", "types"],
)
async def test_a_passing_fault_costs_one_more_request_and_changes_nothing(
    server: Server, bad: Answer
) -> None:
    async with policy_at(server.url) as policy:
        calm = await policy.extend(problem(), 2, STEP)
        server.on(CHAT, bad)
        assert await policy.extend(problem(), 2, STEP) == calm
    assert len(server.seen(CHAT)) == 3


async def test_a_date_as_retry_after_leaves_the_wait_to_the_back_off(server: Server) -> None:
    async def answer(request: Any, good: Any) -> Any:
        response = await status(429)(request, good)
        response.headers["Retry-After"] = "Wed, 21 Oct 2065 07:28:00 GMT"
        return response

    server.on(CHAT, answer)
    async with policy_at(server.url) as policy:
        assert len(await policy.extend(problem(), 2, STEP)) == 2


async def test_what_stays_unavailable_is_tried_so_often_and_no_more(server: Server) -> None:
    server.on(CHAT, status(503, "the queue is full"), forever=True)
    error = await failure(server)
    assert isinstance(error, EndpointUnavailable)
    assert str(error) == f"{server.url}{CHAT} answers 503: the queue is full"
    assert len(server.seen(CHAT)) == QUICKLY.attempts


async def test_a_server_that_hangs_times_out(server: Server) -> None:
    server.on(CHAT, hang(), forever=True)
    error = await failure(server, timeout=0.2, retry=ONCE)
    assert isinstance(error, EndpointUnavailable)
    assert "did not answer within 0.2 s" in str(error)


async def test_a_connection_reset_mid_body_is_unavailable(server: Server) -> None:
    server.on(CHAT, reset_mid_body(), forever=True)
    error = await failure(server)
    assert isinstance(error, EndpointUnavailable)
    assert "broke off the connection" in str(error)


# Endpoints that answer nonsense


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (html(), "answers an HTML page, not the API"),
        (text(""), "something other than the OpenAI API promises"),
        (text("[]", "application/json"), "something other than the OpenAI API promises"),
        (changed(lambda good: good["choices"].clear()), "returned 0 choices where 2"),
        (changed(lambda good: good["choices"].pop()), "returned 1 choices where 2"),
        (changed(lambda good: good.pop("choices")), "something other than the OpenAI API promises"),
        (changed(lambda good: good.update(choices=None)), r"\$\.choices"),
        (changed(lambda good: good["choices"][0].update(index="one")), r"choices\[0\]\.index"),
        (changed(lambda good: good["choices"][1].update(message=3)), "message"),
        (changed(lambda good: good["choices"][0].update(token_ids=["a"])), "token_ids"),
        (changed(lambda good: good.update(model="other-7b")), "answered as 'other-7b'"),
        (changed(lambda good: good.update(model=None)), r"\$\.model"),
        (changed(lambda good: good.pop("prompt_token_ids")), "set `continuation: chat`"),
        (changed(lambda good: good["choices"][1].update(index=0)), "did not number its 2 choices"),
        (changed(lambda good: good["choices"][0].pop("token_ids")), "set `continuation: chat`"),
    ],
)
async def test_a_lying_answer_is_a_bad_response(server: Server, bad: Answer, says: str) -> None:
    server.on(CHAT, bad, forever=True)
    error = await failure(server)
    assert isinstance(error, BadResponse)
    with pytest.raises(BadResponse, match=says):
        raise error


async def test_token_ids_that_stop_coming_in_the_middle_of_a_tree_are_a_bad_response(
    server: Server,
) -> None:
    server.on(COMPLETIONS, changed(lambda good: good["choices"][0].pop("token_ids")), forever=True)
    async with policy_at(server.url) as policy:
        child, _ = await policy.extend(problem(), 2, STEP)
        with pytest.raises(BadResponse, match="token ids"):
            await policy.extend(child, 2, STEP)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (changed(lambda good: good["data"].pop()), "scored 0 steps of 1"),
        (changed(lambda good: good["data"][0]["data"].clear()), "step_tag_id"),
        (changed(lambda good: good["data"][0]["data"].append([0.1, 0.9])), "scored 2 steps of 1"),
        (changed(lambda good: good["data"][0].update(data=[[0.5]])), "not pairs of probabilities"),
        (changed(lambda good: good["data"][0].update(data="AAAA")), "promises"),
        (changed(lambda good: good.update(model="policy")), "answered as 'policy'"),
        (text('{"model": "prm", "data": [{"index": 0, "data": [[NaN, NaN]]}]}'), "promises"),
        (html(), "HTML"),
    ],
)
async def test_scores_that_cannot_be_are_a_bad_response(
    server: Server, bad: Answer, says: str
) -> None:
    server.on(POOLING, bad, forever=True)
    async with prm_at(server.url) as prm:
        with pytest.raises(BadResponse, match=says):
            await prm.score([problem().child(0, ("One.\n\n",))])


# Requests that are refused: trying again cannot help


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (status(401, "Unauthorized"), r"refuses the API key \(401\).*`api_key_env`"),
        (status(403, "Forbidden"), r"refuses the API key \(403\)"),
        (status(404, "The model `policy` does not exist."), "does not serve the model 'policy'"),
        (status(404, "Not Found"), "is this server OpenAI-compatible"),
        (text("<html>404</html>", "text/html", 404), "is this server OpenAI-compatible"),
        (status(405, "Method Not Allowed"), "is this server OpenAI-compatible"),
        (status(400, "n must be at least 1"), r"refuses the request \(400\): n must be at least 1"),
        (status(422, "max_tokens: not an int"), r"refuses the request \(422\)"),
    ],
)
async def test_a_refusal_is_raised_at_once(server: Server, bad: Answer, says: str) -> None:
    server.on(CHAT, bad, forever=True)
    error = await failure(server)
    with pytest.raises(EndpointRefused, match=says):
        raise error
    assert len(server.seen(CHAT)) == 1


async def test_a_model_that_is_not_listed_is_refused_with_the_nearest_that_is(
    server: Server,
) -> None:
    async with policy_at(server.url, model="polici") as policy:
        with pytest.raises(EndpointRefused, match=r"'polici'; did you mean 'policy'\?"):
            await check_served(policy.transport)
    async with policy_at(server.url, model="xyz") as policy:
        with pytest.raises(EndpointRefused, match="it serves: policy, large, prm"):
            await check_served(policy.transport)


async def test_probing_finds_out_what_an_endpoint_can_do(server: Server) -> None:
    async with policy_at(server.url) as policy:
        found = await probe_policy(policy.transport)
    assert (found.context, found.token_ids, found.continuation) == (512, True, "tokens")
    assert (found.seed_honoured, found.samples_differ, found.ends_told) == (True, True, True)
    assert not found.logprobs
    async with prm_at(server.url) as prm:
        assert (await probe_prm(prm.transport, prm)).context == 512


async def test_a_server_without_completions_is_continued_over_chat(server: Server) -> None:
    server.on(COMPLETIONS, status(404), forever=True)
    async with policy_at(server.url) as policy:
        assert (await probe_policy(policy.transport)).continuation == "chat"


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
        leaves = await search(problem(), policy, prm)
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
    assert server.most_in_flight > 2 * FIRST
    assert [len(siblings) for siblings in children] == [4] * 500


async def test_no_more_requests_are_in_flight_than_the_endpoint_allows(server: Server) -> None:
    server.delay = 0.01
    async with policy_at(server.url, concurrency=5) as policy:
        await fan_out(policy.extend(problem(str(i)), 1, STEP) for i in range(40))
    assert server.most_in_flight == 5


# The embedded server, which is real

SEPARATOR = "1"
"""Random weights write no blank lines; this many of their tokens hold, so that steps do end."""


@pytest.fixture(scope="module")
def tiny_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("models")
    models = {
        "policy": write_random_model(folder / "policy", "policy"),
        "qwen": write_random_model(folder / "qwen", "qwen-prm"),
        "shepherd": write_random_model(folder / "shepherd", "shepherd-prm"),
    }
    with serve(Spec(models=models)) as (server,):
        yield server.url


@asynccontextmanager
async def tiny_ports(
    url: str, kind: type[HttpPolicy], family: type[QwenMathPRM] | type[MathShepherdPRM]
) -> AsyncIterator[tuple[HttpPolicy, PRM]]:
    served = "qwen" if family is QwenMathPRM else "shepherd"
    async with (
        Transport(Endpoint(urls=(url,), model="policy")) as to_policy,
        Transport(Endpoint(urls=(url,), model=served)) as to_prm,
    ):
        yield kind(to_policy, PROMPTS["tiny"].messages, SEPARATOR), family(transport=to_prm)


FAMILIES = [(TokenPolicy, QwenMathPRM), (ChatPolicy, MathShepherdPRM)]
SEARCHES = [
    BeamSearch(n=4, width=2, max_depth=3, max_tokens=24),
    DVTS(n=4, width=2, max_depth=3, max_tokens=24),
]


@pytest.mark.parametrize(("kind", "family"), FAMILIES)
@pytest.mark.parametrize("search", SEARCHES, ids=["beam search", "DVTS"])
async def test_searches_run_to_their_end_on_the_embedded_server(
    tiny_url: str,
    kind: type[HttpPolicy],
    family: type[QwenMathPRM] | type[MathShepherdPRM],
    search: BeamSearch | DVTS,
) -> None:
    async with tiny_ports(tiny_url, kind, family) as (policy, prm):
        leaves = await search(problem(), policy, prm)
    assert 1 <= len(leaves) <= 2
    assert any(leaf.finish in ("depth", "stop") for leaf in leaves)
    for leaf in leaves:
        assert leaf.is_finished
        assert len(leaf.scores) == len(leaf.steps) <= 3
        assert all(0 < score < 1 for score in leaf.scores)
        assert all(step.endswith(SEPARATOR) for step in leaf.steps[:-1])


async def test_both_policies_draw_the_same_first_steps(tiny_url: str) -> None:
    drawn = []
    for kind, family in FAMILIES:
        async with tiny_ports(tiny_url, kind, family) as (policy, _):
            children = await policy.extend(problem(), 6, STEP)
        drawn.append([replace(child, token_ids=None, cached_tokens=0) for child in children])
    assert [(c.steps, c.seed, c.path, c.finish) for c in drawn[0]] == [
        (c.steps, c.seed, c.path, c.finish) for c in drawn[1]
    ]
    assert len({child.steps for child in drawn[0]}) > 1


async def test_the_same_seed_grows_the_same_trees_at_any_concurrency(tiny_url: str) -> None:
    search = BeamSearch(n=6, width=3, max_depth=3, max_tokens=24)

    async def one(i: int, policy: Policy, prm: PRM) -> list[Node]:
        return await search(problem(f"p{i}"), policy, prm)

    async with tiny_ports(tiny_url, TokenPolicy, QwenMathPRM) as (policy, prm):
        alone = [await one(i, policy, prm) for i in range(6)]
        together = await fan_out(one(i, policy, prm) for i in range(6))
    pairs = list(
        zip(
            itertools.chain.from_iterable(alone),
            itertools.chain.from_iterable(together),
            strict=True,
        )
    )
    for first, second in pairs:
        assert (first.path, first.steps, first.finish) == (second.path, second.steps, second.finish)
        assert first.token_ids == second.token_ids
        assert first.scores == pytest.approx(second.scores, abs=1e-5)
    assert any(len(first.steps) == 3 for first, _ in pairs)
