"""One request: what it takes, how it is learned from, and others of its kind."""

from typing import Any

import pytest

from orchestrator.endpoints.admission.rate_limits import RateLimits, TokenEstimate
from orchestrator.endpoints.http.wire import (
    ChatRequest,
    ChatResponse,
    CompletionRequest,
    PoolingRequest,
    TokenDetails,
    Usage,
    encode,
)
from orchestrator.endpoints.transport.requests import Request
from orchestrator.errors import BadResponse


def request(payload: Any, path: str = "/v1/chat/completions") -> Request:
    return Request(path, payload, encode(payload), ChatResponse, None)


def chat(content: str = "What is 1 + 1?", **changes: Any) -> ChatRequest:
    return ChatRequest(model="m", messages=[{"role": "user", "content": content}], **changes)


def usage(prompt: int = 0, written: int = 0, cached: int = 0) -> Usage:
    details = TokenDetails(cached_tokens=cached)
    return Usage(prompt_tokens=prompt, completion_tokens=written, prompt_tokens_details=details)


@pytest.mark.parametrize(
    ("used", "work"),
    [
        (None, 16.0),
        (usage(), 16.0),
        (usage(written=40), 26.0),  # ten tokens for each of four samples
        (usage(prompt=640), 26.0),
        (usage(prompt=640, cached=320), 21.0),
        (usage(prompt=640, cached=320, written=40), 31.0),
    ],
)
def test_the_work_of_a_request_is_its_longest_sample_its_prompt_and_a_little(
    used: Usage | None, work: float
) -> None:
    assert request(chat(n=4)).work(used) == work


def test_what_it_may_take_is_told_from_its_size_and_learned_from_its_answer() -> None:
    rates, one = RateLimits(None, None), request(chat(n=2, max_tokens=50))
    size = len(one.body)
    assert one.estimate(rates) == TokenEstimate(
        pytest.approx(0.3 * size + 100), 0.0, pytest.approx(0.3 * size + 100)
    )
    assert one.learn(rates, usage(prompt=30, written=20)) == 50
    assert rates.estimator.mean == 10.0
    pooling = request(PoolingRequest(model="m", input=["a"]), "/pooling")
    assert pooling.estimate(RateLimits(None, None)).most == pytest.approx(0.3 * len(pooling.body))


def test_requests_of_one_kind_differ_in_their_text_and_seed_alone() -> None:
    assert request(chat("a", seed=1)).kind == request(chat("b", seed=2)).kind
    assert request(chat(n=1)).kind != request(chat(n=2)).kind
    assert request(chat()).kind != request(chat(), "/another").kind


def test_a_request_without_a_harmful_text_keeps_all_else() -> None:
    one = request(chat("harm", n=2, temperature=0.5)).with_harmless_text()
    assert one.payload == chat("Hello", n=2, temperature=0.5)
    assert (one.body, one.path) == (encode(one.payload), "/v1/chat/completions")
    completion = request(CompletionRequest(model="m", prompt="harm")).with_harmless_text()
    assert completion.payload.prompt == "Hello"
    pooling = request(PoolingRequest(model="m", input=["harm", (7, 8)])).with_harmless_text()
    assert list(pooling.payload.input) == ["Hello", (7,)]


def test_its_answer_must_have_as_many_choices() -> None:
    one = request(chat(n=2)).with_harmless_text()
    assert one.read is not None
    two = ChatResponse(model="m", choices=[None, None])  # type: ignore[list-item]
    assert one.read(two, "http://h") is two
    with pytest.raises(BadResponse, match="returned 1 choices where 2 were asked for"):
        one.read(ChatResponse(model="m", choices=[None]), "http://h")  # type: ignore[list-item]
