"""What the tiny server refuses, and how it says so."""

from typing import Any

import httpx
import openai
import pytest

from tests.integration.tiny_server.asking import KEY, MESSAGES, complete, error


def test_a_wrong_key_is_a_401_on_v1_only(url: str) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": KEY}):
        response = httpx.get(f"{url}/v1/models", headers=headers, trust_env=False)
        assert (response.status_code, response.json()) == (401, {"error": "Unauthorized"})
    body = {"model": "policy", "prompt": "hi"}
    assert httpx.post(f"{url}/tokenize", json=body, trust_env=False).status_code == 200
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=f"{url}/v1", api_key="wrong", max_retries=0).models.list()


def test_a_model_of_another_name_is_a_404(sdk: openai.OpenAI, http: httpx.Client) -> None:
    for path in ("/v1/completions", "/v1/chat/completions", "/pooling", "/tokenize"):
        body = {"model": "nope", "prompt": "x", "input": "x", "messages": MESSAGES}
        found = error(http, path, body, 404)
        assert found["type"] == "NotFoundError"
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        sdk.completions.create(model="nope", prompt="x")
    assert error(http, "/v1/nonsense", {}, 404)["type"] == "Not Found"


def test_too_long_a_prompt_says_so(sdk: openai.OpenAI, http: httpx.Client) -> None:
    with pytest.raises(openai.BadRequestError, match="maximum context length is 512 tokens"):
        sdk.completions.create(model="policy", prompt=[5] * 512)
    long = {"model": "qwen", "input": [5] * 513}
    assert "maximum context length" in error(http, "/pooling", long, 400)["message"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"prompt": ""}, {"prompt": []}, {"prompt": ["a", 3]}, {"prompt": [100_000]},
        {"prompt": [-1]}, {"prompt": {"a": 1}}, {"prompt": [[]]}, {"n": 0}, {"n": "two"},
        {"temperature": -1}, {"temperature": 0, "n": 2}, {"top_p": 0}, {"top_p": 1.5},
        {"max_tokens": 0}, {"stop": ""}, {"stop": [3]}, {"logprobs": 1000}, {"seed": 2**70},
        {"echo": True}, {"logprob_token_ids": [5]}, {"logprob_token_ids": [-1], "logprobs": 1},
        {"logprob_token_ids": [100_000], "logprobs": 1},
        {"logprob_token_ids": [5] * 129, "logprobs": 1}, {"prompt_logprobs": 1000},
        {"prompt_logprobs": -2}, {"prompt_logprobs": 0, "stream": True},
    ],
)  # fmt: skip
def test_wrong_fields_are_a_400(http: httpx.Client, wrong: dict[str, Any]) -> None:
    error(http, "/v1/completions", {"model": "policy", "prompt": "x", **wrong}, 400)


def test_malformed_json_is_a_400(http: httpx.Client) -> None:
    for content in (b"{", b"", b"[]", b"\xff"):
        response = http.post("/v1/completions", content=content)
        assert response.status_code == 400
        assert response.json()["error"]["code"] == 400


def test_each_model_refuses_the_other_kinds_work(http: httpx.Client) -> None:
    error(http, "/pooling", {"model": "policy", "input": "x"}, 400)
    error(http, "/v1/completions", {"model": "qwen", "prompt": "x"}, 400)
    scoring = {"model": "qwen", "query": "x", "items": ["y"], "label_token_ids": [1]}
    error(http, "/generative_scoring", scoring, 400)
    error(http, "/generative_scoring", {**scoring, "model": "policy", "items": []}, 400)


def test_unknown_fields_are_ignored(http: httpx.Client) -> None:
    complete(http, priority=3, cache_salt="salt", invented={"a": [1]})
