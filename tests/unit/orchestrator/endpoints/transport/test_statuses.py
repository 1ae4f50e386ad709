"""What a status means, and answers that are no answers."""

import pytest

from orchestrator.endpoints.http.wire import encode
from orchestrator.endpoints.transport.refusals import error_in, refusal, unreadable, what_it_is
from orchestrator.errors import (
    BadResponse,
    ContextOverflow,
    EndpointError,
    EndpointRefused,
    EndpointUnavailable,
)
from tests.unit.orchestrator.endpoints.transport.wordings import read


def said(status: int) -> EndpointError:
    return read(status, encode({"error": {"message": "Sorry, no."}}))


@pytest.mark.parametrize("status", [300, 301, 307, 399])
def test_a_redirect_is_not_followed(status: int) -> None:
    error = said(status)
    assert isinstance(error, EndpointRefused) and f"redirects ({status})" in str(error)


@pytest.mark.parametrize("status", [400, 406, 409, 414, 422, 424, 451])
def test_a_status_that_may_be_the_prompts_own_brings_the_servers_reason(status: int) -> None:
    error = said(status)
    assert isinstance(error, EndpointRefused)
    assert (error.says, error.names_cause) == ("Sorry, no.", False)


@pytest.mark.parametrize(
    "status", [402, 404, 405, 410, 411, 412, 415, 418, 421, 423, 426, 428, 431, 450, 452]
)
def test_a_status_that_no_prompt_has_is_the_endpoints(status: int) -> None:
    error = said(status)
    assert isinstance(error, EndpointRefused) and error.says is None


@pytest.mark.parametrize(
    ("status", "says", "message"),
    [(401, None, "refuses the API key (401)"), (403, "Sorry, no.", "refuses access (403)")],
)
def test_a_key_that_is_refused_is_named_as_the_cause(
    status: int, says: str | None, message: str
) -> None:
    error = said(status)
    assert isinstance(error, EndpointRefused)
    assert (error.says, error.names_cause) == (says, True)
    assert message in str(error)


@pytest.mark.parametrize(
    ("status", "is_doubtful"),
    [
        (408, False), (425, True), (499, True), (500, True), (501, True), (502, True), (503, False),
        (504, False), (505, True), (528, True), (529, False), (530, True), (599, True),
    ],
)  # fmt: skip
def test_a_server_in_trouble_may_fail_at_this_request_alone_unless_it_says_it_is_busy(
    status: int, is_doubtful: bool
) -> None:
    error = said(status)
    assert isinstance(error, EndpointUnavailable)
    assert (error.status, error.answered, error.is_doubtful) == (status, True, is_doubtful)


def test_a_413_is_a_prompt_too_long_and_a_407_a_proxys() -> None:
    assert isinstance(said(413), ContextOverflow)
    error = said(407)
    assert isinstance(error, EndpointRefused) and "wants a user and a password" in str(error)


PAGE = b"<html><head><title>No</title></head></html>"


@pytest.mark.parametrize(
    ("status", "says"), [(401, False), (403, True), (400, True), (402, False), (404, False)]
)
def test_a_page_is_not_the_apis_own_words(status: int, says: bool) -> None:
    error = read(status, PAGE)
    assert isinstance(error, EndpointRefused)
    assert "HTML page" in str(error)
    assert (error.says is not None, error.names_cause) == (says, status in (401, 403))


def test_a_url_with_v1_twice_is_told_as_such() -> None:
    for status in (404, 405):
        error = refusal(status, b"", url="http://host/v1/v1/models", model="m")
        assert "/v1 stands in it twice" in str(error)
        error = refusal(status, b"", url="http://host/v1/models", model="m")
        assert "is this server OpenAI-compatible" in str(error)
    assert "twice" not in str(refusal(406, b"", url="http://host/v1/v1/models", model="m"))


@pytest.mark.parametrize(
    ("error", "kind", "is_doubtful"),
    [
        ({"message": "no", "code": 503}, EndpointUnavailable, True),
        ({"message": "no", "code": 500}, EndpointUnavailable, True),
        ({"message": "no", "code": 429}, EndpointUnavailable, False),
        ({"message": "no", "code": 404}, BadResponse, True),
        ({"message": "no", "code": 405}, BadResponse, True),
        ({"message": "no"}, BadResponse, True),
        ({"message": "no", "code": 403}, EndpointRefused, None),
        ({"message": "no", "code": 406}, EndpointRefused, None),
    ],
)
def test_an_error_in_an_answer_is_one_of_a_server_that_is_there(
    error: dict[str, object], kind: type[EndpointError], is_doubtful: bool | None
) -> None:
    found = error_in(encode({"error": error}), url="http://host", model="m")
    assert type(found) is kind
    assert getattr(found, "is_doubtful", None) is is_doubtful


@pytest.mark.parametrize(
    ("content", "headers", "what"),
    [
        (b"\x1f\x8b\x08", {}, "compressed with gzip"),
        (b"zzz", {"Content-Encoding": "br"}, "compressed with br"),
        (b"zzz", {"Content-Encoding": "identity"}, "something other than the OpenAI API promises"),
        (b"  <!DOCTYPE html><p>", {}, "an HTML page"),
        (b": ping\n\n{}", {}, "comments of an event stream"),
        (b"data: {}", {}, "a stream of events"),
        (b"  ", {}, "its body is empty"),
        (b'{"a": "\\ud83d"}', {}, "half a character"),
    ],
)
def test_an_answer_that_cannot_be_read_is_told_with_what_it_is(
    content: bytes, headers: dict[str, str], what: str
) -> None:
    assert what in what_it_is(content, headers)
    assert what in str(unreadable(content, ValueError("why"), url="http://h", headers=headers))


def test_what_a_server_says_in_place_of_its_answer_comes_first() -> None:
    error = unreadable(b' {"message": "loading"}', ValueError("why"), url="http://h")
    assert str(error) == "http://h answers, where its answer should stand: loading"
    error = unreadable(b'{"a": 1}', ValueError("why"), url="http://h")
    assert str(error).endswith("(why)")
    error = unreadable(b'["loading"]', ValueError("why"), url="http://h")
    assert str(error).endswith("(why)")
