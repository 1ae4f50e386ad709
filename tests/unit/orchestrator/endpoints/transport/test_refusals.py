"""The error that a status and its body stand for."""

import pytest

from orchestrator.endpoints.http.wire import encode
from orchestrator.endpoints.transport.refusals import refusal
from orchestrator.errors import (
    ContentFiltered,
    ContextOverflow,
    EndpointError,
    EndpointRefused,
    EndpointUnavailable,
)


def said(message: str) -> bytes:
    return encode({"error": {"message": message, "type": "x", "code": 400}})


@pytest.mark.parametrize(
    ("status", "content", "kind", "words"),
    [
        (401, said("no key"), EndpointRefused, "refuses the API key .*api_key_env"),
        (403, b"", EndpointRefused, "refuses the API key"),
        (404, said("no model `qwen`"), EndpointRefused, "does not serve the model 'qwen'"),
        (404, b"<html>Not Found</html>", EndpointRefused, "OpenAI-compatible"),
        (405, b"", EndpointRefused, "OpenAI-compatible"),
        (400, said("temperature must be non-negative"), EndpointRefused, "temperature must be"),
        (422, b'{"detail": "n"}', EndpointRefused, "refuses the request .422."),
        (408, b"", EndpointUnavailable, "408"),
        (425, b"", EndpointUnavailable, "425"),
        (499, said("The operation was cancelled."), EndpointUnavailable, "was cancelled"),
        (429, said("slow down"), EndpointUnavailable, "slow down"),
        (500, b"Internal Server Error", EndpointUnavailable, "Internal Server Error"),
        (502, b"<html>Bad Gateway</html>", EndpointUnavailable, "502"),
        (503, b"", EndpointUnavailable, "503"),
        (400, said("This model's maximum context length is 8192 tokens. However, your request has "
                   "9000 input tokens."), ContextOverflow, "8192"),
        (400, said("prompt is longer than max_model_len"), ContextOverflow, "max_model_len"),
        (400, said("too long: context_length_exceeded"), ContextOverflow, "too long"),
        (400, b'{"object": "error", "message": "This model\'s maximum context length is 10"}',
         ContextOverflow, "10"),
        (400, b'{"error": "a bare string"}', EndpointRefused, "a bare string"),
        (500, b'{"error": {"message": "\xff"}}', EndpointUnavailable, "500"),
        (429, encode({"error": {"message": "x", "type": "insufficient_quota"}}), EndpointRefused,
         "no quota left"),
        (400, encode({"error": {"message": "a policy", "code": "content_filter"}}),
         ContentFiltered, "a policy"),
        (404, encode({"error": {"message": "x", "code": "DeploymentNotFound"}}), EndpointRefused,
         "has no deployment 'qwen'"),
    ],
)  # fmt: skip
def test_every_refusal_is_the_error_it_stands_for(
    status: int, content: bytes, kind: type[EndpointError], words: str
) -> None:
    error = refusal(status, content, url="http://host/v1/x", model="qwen")
    assert type(error) is kind
    assert error.url == "http://host/v1/x"
    with pytest.raises(kind, match=words):
        raise error


@pytest.mark.parametrize(
    ("status", "message", "words"),
    [
        (403, "Country, region, or territory not supported", "refuses access .403.: Country"),
        (403, "The Language API is disabled for this site. Enable it.", "Enable it"),
        (401, "You must be a member of an organization", "api_key_env.*: You must be a member"),
        (404, "No models loaded. Please load a model first.", "answers 404: No models loaded"),
        (404, "Not Found", "is not there .404.: is this server OpenAI-compatible"),
    ],
)
def test_a_servers_own_words_are_told_where_they_say_more_than_its_status(
    status: int, message: str, words: str
) -> None:
    error = refusal(status, said(message), url="http://host/v1/x", model="qwen")
    assert type(error) is EndpointRefused
    with pytest.raises(EndpointRefused, match=words):
        raise error


@pytest.mark.parametrize("status", [400, 403, 429])
@pytest.mark.parametrize(
    "message",
    [
        "Your account has been suspended for violating our usage policies. Contact support.",
        "This organization has been disabled.",
        "Your credit balance is too low to access the API. Please purchase credits.",
        "Your newly created team doesn't have any credits or licenses yet.",
        "Insufficient Balance",
        "Your account is not active, please check your billing details on our website.",
        "Access denied, please make sure your account is in good standing. (Arrearage)",
        "API key expired. Please renew the API key.",
    ],
)
def test_what_is_said_of_the_account_is_no_prompts_and_no_rate_limit(
    status: int, message: str
) -> None:
    error = refusal(status, said(message), url="http://host/v1/x", model="qwen")
    assert type(error) is EndpointRefused and error.says is None
    assert message in str(error)


@pytest.mark.parametrize(
    "message",
    [
        "Your prompt was flagged as violating our usage policy. Your account may be suspended.",
        "It was flagged by our systems. Repeated violations may lead to your team being blocked",
    ],
)
def test_a_filter_that_warns_of_what_may_become_of_the_account_is_a_filter(message: str) -> None:
    error = refusal(400, said(message), url="http://host/v1/x", model="qwen")
    assert type(error) is ContentFiltered


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("0.5", 0.5), ("-3", None), (None, None), ("Wed, 21 Oct 2015 07:28:00 GMT", None)],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_read_in_seconds(
    status: int, header: str | None, seconds: float | None
) -> None:
    headers = {} if header is None else {"Retry-After": header}
    error = refusal(status, b"", url="", model="m", headers=headers)
    assert isinstance(error, EndpointUnavailable)
    assert error.retry_after == seconds


def test_a_servers_long_speech_is_cut_short_and_put_on_one_line() -> None:
    error = refusal(500, said("line\n" * 1000), url="http://host", model="m")
    assert "\n" not in str(error)
    assert len(str(error)) < 400
