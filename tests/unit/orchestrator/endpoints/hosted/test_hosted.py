"""Dialects and clouds: what is read off a refusal, and off a URL."""

import json
from typing import Any

import pytest

from orchestrator.endpoints.hosted.clouds import hosted_api, own_defaults, usual_key
from orchestrator.endpoints.hosted.dialect import Dialect, most_tokens
from orchestrator.endpoints.hosted.sender import HostedSender
from orchestrator.endpoints.http.wire import encode

ASKED = {
    "model": "m", "messages": [], "n": 2, "max_tokens": 900, "temperature": 0.7, "top_p": 0.9,
    "seed": 1, "stop": ["\n\n"], "logprobs": True, "top_logprobs": 2,
    "include_stop_str_in_output": True, "return_token_ids": True,
}  # fmt: skip


def refusal(message: str, code: str | None = None, param: str | None = None) -> bytes:
    detail = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return json.dumps({"error": detail}).encode()


@pytest.mark.parametrize(
    ("content", "refused"),
    [
        (
            refusal(
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
                "'max_completion_tokens' instead.", "unsupported_parameter", "max_tokens",
            ),
            ("max_tokens",),
        ),
        (
            refusal(
                "Unsupported value: 'temperature' does not support 0.7 with this model. Only the "
                "default (1) value is supported.", "unsupported_value", "temperature",
            ),
            ("temperature",),
        ),
        (refusal("Unrecognized request argument supplied: seed"), ("seed",)),
        (refusal("Unknown parameter: 'stop'.", "unknown_parameter", "stop"), ("stop",)),
        (refusal("'n' : number must be at most 1"), ("n",)),
        (refusal("Multiple candidates is not enabled for this model"), ("n",)),
        (
            refusal("You are not allowed to request logprobs", "unsupported_parameter", "logprobs"),
            ("logprobs", "top_logprobs"),
        ),
    ],
)  # fmt: skip
def test_a_refusal_that_names_a_parameter_is_learned(
    content: bytes, refused: tuple[str, ...]
) -> None:
    assert Dialect().learned(ASKED, content) == Dialect(refused=refused)


@pytest.mark.parametrize(
    "content",
    [
        refusal("This model's maximum context length is 8192 tokens.", "context_length_exceeded",
                "messages"),
        refusal("Invalid value for 'temperature'", "invalid_value", "temperature"),
        refusal("Unsupported parameter: 'messages'", "unsupported_parameter", "messages"),
        refusal("The prompt was filtered", "content_filter", "prompt"),
        b'{"error": "no"}', b"<html>", b"",
    ],
)  # fmt: skip
def test_any_other_refusal_teaches_nothing(content: bytes) -> None:
    assert Dialect().learned(ASKED, content) == Dialect()


def test_the_longest_answer_is_read_off_the_refusal_of_a_longer_one() -> None:
    said = "max_tokens is too large: 900. This model supports at most 400 completion tokens."
    dialect = Dialect().learned(ASKED, refusal(said, "invalid_value", "max_tokens"))
    assert dialect == Dialect(most_tokens=400)
    assert dialect.adapted(ASKED)["max_tokens"] == 400
    assert dialect.adapted({**ASKED, "max_tokens": 100})["max_tokens"] == 100


def test_a_request_loses_what_is_refused_and_what_only_servers_of_ones_own_know() -> None:
    plain = Dialect().adapted(ASKED)
    assert ASKED.keys() - plain.keys() == {"include_stop_str_in_output", "return_token_ids"}
    reasoning = Dialect(refused=("max_tokens", "n", "stop", "temperature", "top_p"))
    assert reasoning.adapted(ASKED) == {
        "model": "m", "messages": [], "max_completion_tokens": 900, "seed": 1, "logprobs": True,
        "top_logprobs": 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("url", "api", "key"),
    [
        ("https://api.openai.com/v1", "openai", "OPENAI_API_KEY"),
        ("https://eu.api.openai.com/v1", "openai", "OPENAI_API_KEY"),
        ("https://openrouter.ai/api/v1", "openai", None),
        ("https://name.openai.azure.com", "azure", "AZURE_OPENAI_API_KEY"),
        ("https://name.openai.azure.com/openai/v1/", "openai", "AZURE_OPENAI_API_KEY"),
        ("http://127.0.0.1:8000/v1", None, None),
        ("http://api.openai.com.evil.example/v1", None, None),
        ("http://[broken", None, None),
    ],
)
def test_a_cloud_is_told_by_its_host(url: str, api: Any, key: str | None) -> None:
    assert (hosted_api(url), usual_key((url,))) == (api, key)


@pytest.mark.parametrize(
    ("message", "most"),
    [
        ("max_tokens is too large: 99999. This model supports at most 16384 completion tokens, "
         "whereas you provided 99999.", 16384),
        ("`max_tokens` must be less than or equal to `4096`, the maximum value for `max_tokens` is "
         "less than the `context_window` for this model", 4096),
        ("Invalid max_tokens value, the valid range of max_tokens is [1, 8192]", 8192),
        ("max_tokens: 99999 > 64000, which is the maximum allowed number of output tokens", 64000),
        ("Unable to submit request because it has a maxOutputTokens value of 99999 but the "
         "supported range is from 1 (inclusive) to 8193 (exclusive).", 8192),
        ("Range of max_tokens should be [1, 8192]", 8192),
        ("The maximum tokens you requested exceeds the model limit of 4,096. Try again.", 4096),
        ("Malformed input request: #/max_tokens: 99999 is not less or equal to 4096", 4096),
        ("Requests with max_tokens > 4096 must have stream=true", 4096),
        ("Invalid 'max_tokens': integer above maximum value. Expected a value <= 512, got 99999.",
         512),
        ("`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4000 `inputs` tokens", None),
        ("input length and `max_tokens` exceed context limit: 1882 + 99999 > 20000", None),
        ("'max_tokens' is too large: 99999. This model's maximum context length is 8192 tokens and "
         "your request has 20 input tokens (99999 > 8192 - 20)", None),
        ("max_tokens must be at least 1, got -3", None),
        ("temperature must be less than or equal to 1", None),
    ],
)  # fmt: skip
def test_the_longest_answer_an_api_gives_is_learned_from_its_own_words(
    message: str, most: int | None
) -> None:
    for body in ({"error": {"message": message}}, {"detail": message}, {"message": message}):
        learned = Dialect().learned({"max_tokens": 99_999}, encode(body))
        assert learned.most_tokens == most


@pytest.mark.parametrize("url", ["https://api.together.xyz/v1", "https://api.perplexity.ai"])
def test_a_cloud_that_samples_with_a_top_p_of_its_own_is_sent_one(url: str) -> None:
    assert own_defaults(url) == {}
    assert own_defaults("https://api.openai.com/v1") == {"top_p": 1.0}


def test_where_no_url_is_given_no_key_is_usual() -> None:
    assert usual_key(()) is None


def test_a_dialect_changes_nothing_only_for_a_server_of_ones_own_that_refused_nothing() -> None:
    assert Dialect(extended=True).changes_nothing
    for dialect in (
        Dialect(), Dialect(extended=True, refused=("n",)), Dialect(extended=True, omitted=("n",)),
        Dialect(extended=True, defaults={"n": 1}), Dialect(extended=True, most_tokens=9),
    ):  # fmt: skip
        assert not dialect.changes_nothing
    assert Dialect(refused=("seed", "n"), omitted=("n", "stop")).lacks == ("n", "seed", "stop")


def test_what_is_the_apis_own_default_is_left_out_and_a_bound_never_sent_where_omitted() -> None:
    dialect = Dialect(defaults={"top_p": 1.0, "n": 1})
    adapted = dialect.adapted({"top_p": 1.0, "n": 2, "max_tokens": 0})
    assert adapted == {"n": 2, "max_tokens": 0}
    assert Dialect(omitted=("max_tokens",)).adapted({"max_tokens": 9}) == {}
    both = Dialect(refused=("max_tokens", "max_completion_tokens"))
    assert both.adapted({"max_tokens": 9}) == {}


@pytest.mark.parametrize("param", ["max_tokens", "body.max_completion_tokens", "temperature"])
def test_only_what_is_said_of_the_bound_is_a_bound(param: str) -> None:
    said = refusal("This model supports at most 400 completion tokens", "invalid_value", param)
    assert most_tokens(said) == (None if param == "temperature" else 400)
    assert most_tokens(refusal("at most 0 completion tokens")) is None


async def test_what_a_hosted_api_does_not_do_is_refused_without_asking_it() -> None:
    async with HostedSender(["https://host/v1"]) as sender:
        body = encode({"continue_final_message": True})
        answer = await sender.send("POST", "https://host/v1/chat/completions", body)
        assert answer.status == 400 and b"does not go on with an open" in answer.content
        answer = await sender.send("POST", "https://host/tokenize", b"{}")
        assert answer.status == 404 and b"no such route" in answer.content
