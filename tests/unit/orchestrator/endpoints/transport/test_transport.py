import asyncio
from contextlib import suppress
from typing import Any

import pytest

from orchestrator.endpoints.http.retry import RetryPolicy
from orchestrator.endpoints.http.sender import HttpResponse
from orchestrator.endpoints.http.wire import ChatRequest, ChatResponse
from orchestrator.endpoints.transport.transport import Endpoint, Transport, Used
from orchestrator.errors import (
    BadResponse,
    ContentFiltered,
    ContextOverflow,
    EndpointError,
    EndpointRefused,
    EndpointUnavailable,
    RateLimited,
)

ASK = ChatRequest(model="m", messages=[])
GOOD = {"model": "m", "choices": []}


async def test_a_failure_that_may_pass_is_tried_again(scripted: Any) -> None:
    transport = scripted(EndpointUnavailable("busy", url=""), GOOD)
    assert (await transport.post("/v1/chat/completions", ASK, ChatResponse)).model == "m"
    assert [sent.url for sent in transport.sent] == ["http://host/v1/chat/completions"] * 2


@pytest.mark.parametrize("kind", [EndpointRefused, ContextOverflow])
async def test_a_failure_that_cannot_pass_is_not_tried_again(
    scripted: Any, kind: type[EndpointError]
) -> None:
    transport = scripted(kind("no", url=""), GOOD)
    with pytest.raises(kind):
        await transport.post("/v1/chat/completions", ASK, ChatResponse)
    assert len(transport.sent) == 1


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"<!DOCTYPE html><html>Welcome</html>", "answers an HTML page, not the API"),
        (b"  <html>", "answers an HTML page"),
        (b"", "something other than the OpenAI API"),
        (b'{"model": "m"', "something other than the OpenAI API"),
        (b'{"model": "\xff\xfe", "choices": []}', "something other than the OpenAI API"),
        (b'{"model": "m", "choices": null}', r"choices"),
        (b'{"model": "m", "choices": "\\ud83d"}', "half a character .a lone surrogate."),
        (b"\x1f\x8b\x08\x00", "answers compressed with gzip, which was not asked for"),
        (b'data: {"model": "m"}\n\n', "answers a stream of events .SSE., which was not asked for"),
        (b"event: x\ndata: {}", "answers a stream of events"),
        (b': OPENROUTER PROCESSING\n\n{"model": "m", "choices": []}',
         "answers with comments of an event stream before its JSON .': OPENROUTER PROCESSING'."),
        (b'{"error": {"message": "the upstream is asleep"}}', "the upstream is asleep"),
        (b'{"error": "asleep", "model": "m", "choices": []}', "asleep"),
        (b'{"detail": "asleep"}', "asleep"),
    ],
)  # fmt: skip
async def test_a_lying_answer_is_a_bad_response_once_all_tries_are_used(
    scripted: Any, answer: bytes, words: str
) -> None:
    transport = scripted(answer, answer, answer)
    with pytest.raises(BadResponse, match=words):
        await transport.post("/v1/chat/completions", ASK, ChatResponse)
    assert transport.answers == []


async def test_the_name_of_another_model_is_not_asked_for_again(scripted: Any) -> None:
    other = {"model": "other", "choices": []}
    transport = scripted(other, other, other)
    with pytest.raises(BadResponse, match="asked for the model 'm' and answered as 'other'"):
        await transport.post("/v1/chat/completions", ASK, ChatResponse)
    assert len(transport.sent) == 1
    transport = scripted(other, other, other, urls=("http://a", "http://b"))
    with pytest.raises(BadResponse, match="answered as 'other'"):
        await transport.post("/v1/chat/completions", ASK, ChatResponse)
    assert len(transport.sent) == 2  # another replica may serve the right one


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        ({"code": 429, "message": "slow down"}, RateLimited, "answers 429: slow down"),
        ({"code": "429", "message": "slow down"}, RateLimited, "answers 429: slow down"),
        ({"type": "rate_limit_error", "message": "slow"}, RateLimited, "answers 429: slow"),
        ({"code": "502", "message": "bad gateway"}, EndpointUnavailable, "answers 502: bad gate"),
        ({"code": 401, "message": "no key"}, EndpointRefused, "refuses the API key .401."),
        ({"code": "context_length_exceeded", "message": "long"}, ContextOverflow, "long"),
        ({"code": 400, "message": "This model's maximum context length is 8 tokens"},
         ContextOverflow, "8 tokens"),
        ({"code": 403, "message": "Your input was flagged"}, ContentFiltered, "was flagged"),
        ({"message": "no idea"}, BadResponse, "answers an error: no idea"),
        ("no idea", BadResponse, "answers an error: no idea"),
        ({"code": 404, "message": "no endpoints found"}, BadResponse, "no endpoints found"),
    ],
)  # fmt: skip
async def test_an_error_inside_an_answer_counts_as_the_status_it_names(
    scripted_once: Any, error: Any, kind: type[EndpointError], words: str
) -> None:
    for rest in ({}, {"model": "m", "choices": []}):
        transport = scripted_once({"error": error, **rest})
        with pytest.raises(kind, match=words) as caught:
            await transport.post("/v1/chat/completions", ASK, ChatResponse)
        assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("status", "content", "words"),
    [(204, b"", "its body is empty"), (202, b'{"status": "queued"}', "other than the OpenAI API")],
)
async def test_a_success_that_brings_no_answer_is_a_bad_response(
    scripted_once: Any, status: int, content: bytes, words: str
) -> None:
    transport = scripted_once(HttpResponse(status=status, content=content))
    with pytest.raises(BadResponse, match=words):
        await transport.post("/v1/chat/completions", ASK, ChatResponse)


@pytest.mark.parametrize("choices", [{}, {"choices": None}, {"choices": []}])
async def test_an_answer_without_a_choice_that_tells_of_a_blocked_prompt_is_filtered(
    scripted: Any, choices: dict[str, Any]
) -> None:
    blocked = {"model": "m", "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, **choices}
    transport = scripted(blocked)

    def read(answer: ChatResponse, url: str) -> None:
        raise BadResponse("no choice", url=url)

    with pytest.raises(ContentFiltered, match="blocked the prompt"):
        await transport.post("/v1/chat/completions", ASK, ChatResponse, read)


@pytest.mark.parametrize("nothing", [None, "", {}, False])
async def test_an_answer_whose_error_is_nothing_is_good(scripted_once: Any, nothing: Any) -> None:
    transport = scripted_once(GOOD | {"error": nothing})
    await transport.post("/v1/chat/completions", ASK, ChatResponse)


async def test_a_hosted_model_may_answer_under_its_dated_name(scripted: Any) -> None:
    transport = scripted({"model": "m-2026-01-31", "choices": []})
    await transport.post("/v1/chat/completions", ASK, ChatResponse)


@pytest.mark.parametrize("url", ["http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/v1/"])
def test_a_url_may_end_before_or_after_v1(url: str) -> None:
    assert Endpoint(urls=(url,), model="m").bases == ["http://h:1"]


def test_an_api_key_is_never_shown() -> None:
    assert "sk-secret" not in repr(Endpoint(urls=(), model="m", api_key="sk-secret"))


async def test_a_transport_that_was_not_opened_says_so() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await Transport(Endpoint(urls=("http://a",), model="m")).models("http://a")


async def test_a_failed_request_goes_to_the_next_replica(scripted: Any) -> None:
    gone, hosts = EndpointUnavailable("gone", url=""), ("http://a", "http://b", "http://c")
    transport = scripted(gone, gone, GOOD, urls=hosts)
    await transport.post("/v1/chat/completions", ASK, ChatResponse)
    assert sorted(sent.url.removesuffix("/v1/chat/completions") for sent in transport.sent) == list(
        hosts
    )


async def test_an_answer_that_lacks_something_is_held_against_its_replica(scripted: Any) -> None:
    transport = scripted(GOOD, GOOD, urls=("http://a", "http://b"))
    lied: list[str] = []

    def read(answer: ChatResponse, url: str) -> str:
        if not lied:
            lied.append(url)
            raise BadResponse("a choice too few", url=url)
        return url

    told_by = await transport.post("/v1/chat/completions", ASK, ChatResponse, read)
    assert {told_by, *lied} == {sent.url for sent in transport.sent}
    assert told_by not in lied
    failures = {each.base: each.breaker.failures for each in transport.dispatcher.replicas}
    assert failures[lied[0].removesuffix("/v1/chat/completions")] == 1
    assert sorted(failures.values()) == [0, 1]


async def test_what_answers_used_counts_also_where_they_could_not_be_read(scripted: Any) -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13,
             "prompt_tokens_details": {"cached_tokens": 4}}  # fmt: skip
    gone = EndpointUnavailable("gone", url="")
    transport = scripted(GOOD | {"usage": usage}, gone, GOOD | {"usage": usage}, GOOD)

    def read(answer: ChatResponse, url: str) -> None:
        if len(transport.sent) < 4:
            raise BadResponse("a choice too few", url=url)

    with suppress(BadResponse):
        await transport.post("/v1/chat/completions", ASK, ChatResponse, read)
    assert transport.used == Used(prompt_tokens=20, cached_tokens=8, written_tokens=6)


async def test_a_retried_request_is_the_same_request(scripted: Any) -> None:
    gone = EndpointUnavailable("gone", url="")
    transport = scripted(gone, gone, GOOD)
    request = ChatRequest(model="m", messages=[], seed=7, n=3)
    await transport.post("/v1/chat/completions", request, ChatResponse)
    assert transport.sent == [transport.sent[0]] * 3
    assert transport.sent[0].body["seed"] == 7


async def test_a_slot_is_free_again_however_a_request_ends(scripted: Any) -> None:
    for end in (GOOD, b"<html>", EndpointRefused("no", url=""), ContextOverflow("long", url="")):
        transport = scripted(end, retry=RetryPolicy(attempts=1))
        with suppress(EndpointError):
            await transport.post("/v1/chat/completions", ASK, ChatResponse)
        assert transport.status().in_flight == 0


async def test_its_status_says_in_a_few_words_how_it_is_doing(scripted: Any) -> None:
    gone = EndpointUnavailable("gone", url="")
    transport = scripted(gone, GOOD, urls=("http://a", "http://b"))
    assert str(transport.status()) == "0 in flight, 2/2 replicas"
    await transport.post("/v1/chat/completions", ASK, ChatResponse)
    assert str(transport.status()) == "0 in flight, 2/2 replicas, 1 retry"


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": -1, "completion_tokens": -1, "total_tokens": -1},
        {"prompt_tokens": -64, "completion_tokens": -16, "total_tokens": -80},
        {"prompt_tokens": 0, "completion_tokens": -16, "total_tokens": 0,
         "completion_tokens_details": {"reasoning_tokens": -5}},
        {"prompt_tokens": -3, "prompt_tokens_details": {"cached_tokens": 9}},
    ],
)  # fmt: skip
async def test_counts_of_tokens_below_zero_count_as_none(
    scripted_once: Any, usage: dict[str, Any]
) -> None:
    transport = scripted_once(GOOD | {"usage": usage})
    answer = await transport.post("/v1/chat/completions", ASK, ChatResponse)
    assert transport.used == Used()
    assert (answer.usage.cached_tokens, answer.usage.written_tokens) == (0, 0)


async def test_no_more_of_a_prompt_is_cached_than_it_has(scripted_once: Any) -> None:
    usage = {"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 99}}
    transport = scripted_once(GOOD | {"usage": usage})
    await transport.post("/v1/chat/completions", ASK, ChatResponse)
    assert transport.used == Used(prompt_tokens=10, cached_tokens=10)


async def test_in_a_hurry_requests_fail_early_and_afterwards_as_late_as_ever(scripted: Any) -> None:
    down = [EndpointUnavailable("down", url="") for _ in range(5)]
    transport = scripted(*down)
    with transport.in_a_hurry(RetryPolicy(attempts=2, first_wait=0.0, longest_wait=0.0), 60.0):
        with pytest.raises(EndpointUnavailable):
            await transport.post("/v1/chat/completions", ASK, ChatResponse)
        assert len(transport.sent) == 2
    with pytest.raises(EndpointUnavailable):
        await transport.post("/v1/chat/completions", ASK, ChatResponse)
    assert len(transport.sent) == 2 + transport.endpoint.retry.attempts


async def test_in_a_hurry_an_answer_is_waited_for_no_longer_than_that(scripted: Any) -> None:
    transport = scripted()
    transport.script.send = lambda *asked: asyncio.sleep(60)
    with (
        transport.in_a_hurry(RetryPolicy(attempts=1), 0.01),
        pytest.raises(EndpointUnavailable, match=r"did not answer within 0\.01 s") as caught,
    ):
        await transport.models("http://host")
    assert caught.value.timed_out


@pytest.mark.parametrize("hosts", [("http://a", "http://b"), ("http://a",)])
async def test_what_one_replica_would_do_again_another_is_asked_for(
    scripted: Any, hosts: tuple[str, ...]
) -> None:
    asked = []

    def read(answer: ChatResponse, url: str) -> str:
        asked.append(url)
        if len(asked) < 2:
            raise BadResponse("it calls a tool", url=url, is_final=True)
        return "fine"

    transport = scripted(GOOD, GOOD, urls=hosts)
    request = transport.post("/v1/chat/completions", ASK, ChatResponse, read)
    if len(hosts) > 1:
        assert await request == "fine"
    else:
        with pytest.raises(BadResponse, match="it calls a tool"):
            await request
    assert len(set(asked)) == len(asked) == len(hosts)
