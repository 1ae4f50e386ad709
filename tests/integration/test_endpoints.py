"""Endpoints that do not answer, answer nonsense or refuse, over real HTTP."""

import random
import socket
from typing import Any

import pytest

from orchestrator.endpoints.http.retry import RetryPolicy
from orchestrator.endpoints.probing.probe import check_served, probe_policy, probe_prm
from orchestrator.errors import BadResponse, EndpointRefused, EndpointUnavailable
from tests.integration.misbehaving import (
    CHAT,
    COMPLETIONS,
    POOLING,
    Answer,
    Server,
    changed,
    hang,
    html,
    reset_mid_body,
    status,
    text,
)
from tests.integration.ports import ONCE, QUICKLY, STEP, failure, policy_at, prm_at, problem


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
        assert (await probe_prm(prm.transport, {"pooling": prm})).context == 512


async def test_a_server_without_completions_is_continued_over_chat(server: Server) -> None:
    server.on(COMPLETIONS, status(404), forever=True)
    async with policy_at(server.url) as policy:
        assert (await probe_policy(policy.transport)).continuation == "chat"
