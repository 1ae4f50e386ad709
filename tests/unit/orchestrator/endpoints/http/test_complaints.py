"""What servers say of an error, in whichever shape."""

from typing import Any

import msgspec
import pytest

from orchestrator.endpoints.http.complaints import Complaint, complaint, complaint_in

encode = msgspec.json.encode


def of(**error: Any) -> Complaint:
    return complaint(encode({"error": error}))


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("rate_limit_error", 429), ("rate_limit_exceeded", 429), ("RESOURCE_EXHAUSTED", 429),
        ("insufficient_quota", 429), ("overloaded_error", 503), ("overloaded", 503),
        ("UNAVAILABLE", 503), ("server_error", 500), ("internal_error", 500),
        ("internal_server_error", 500), ("api_error", 500), ("INTERNAL", 500),
        ("authentication_error", 401), ("invalid_api_key", 401), ("UNAUTHENTICATED", 401),
        ("permission_error", 403), ("PERMISSION_DENIED", 403), ("invalid_request_error", 400),
        ("BadRequestError", 400), ("INVALID_ARGUMENT", 400), ("not_found_error", 404),
        ("model_not_found", 404), ("something_else", None),
    ],
)  # fmt: skip
def test_the_name_of_an_error_stands_for_a_status(kind: str, status: int | None) -> None:
    assert of(message="no", type=kind).status == status


@pytest.mark.parametrize(
    ("code", "status"),
    [(400, 400), (599, 599), ("404", 404), (399, None), (600, None), (40, None), (4000, None)],
)
def test_the_code_of_an_error_is_a_status_where_it_can_be_one(
    code: int | str, status: int | None
) -> None:
    assert of(message="no", code=code).status == status


def test_a_number_says_more_than_a_name_and_of_two_the_smaller() -> None:
    assert of(message="no", code=503, type="invalid_request_error").status == 503
    assert of(message="no", code=503, status="429").status == 429
    assert of(message="no", code=7, type="overloaded").status == 503
    assert of(message="no", code=True).codes == frozenset()


@pytest.mark.parametrize(
    ("message", "is_telling"),
    [("error", False), ("Bad Request.", False), ("", False), ("404 page not found", False),
     ("the model is loading", True), ("error 17", True)],
)  # fmt: skip
def test_some_messages_say_no_more_than_their_status(message: str, is_telling: bool) -> None:
    assert of(message=message).is_telling is is_telling


def test_the_innermost_telling_message_is_the_providers_own() -> None:
    inner = {"message": "the real reason", "code": "inner"}
    wrapped = of(message="Provider returned error", code=502, metadata={"raw": inner})
    assert (wrapped.message, wrapped.codes) == ("the real reason", {"502", "inner"})
    written = of(message=encode({"error": inner}).decode())
    assert written.message == "the real reason"
    assert of(message="outer", metadata={"raw": "Bad Request"}).message == "outer"
    assert of(message="none", metadata={"raw": "error"}).message == "error"


def nested(levels: int) -> bytes:
    body: Any = {"message": "deep"}
    for _ in range(levels):
        body = {"error": body}
    return encode(body)


def nested_in_lists(levels: int) -> bytes:
    body: Any = {"message": "deep"}
    for _ in range(levels):
        body = [body]
    return encode(body)


def nested_in_text(levels: int) -> bytes:
    body: Any = {"message": "deep"}
    for _ in range(levels):
        body = {"message": encode(body).decode()}
    return encode(body)


@pytest.mark.parametrize("nest", [nested, nested_in_lists, nested_in_text])
def test_an_error_is_looked_for_eight_levels_deep(nest: Any) -> None:
    assert complaint(nest(8)).message == "deep"
    assert complaint(nest(9)).message != "deep"


def test_what_is_wrong_with_which_field_is_told() -> None:
    said = complaint(
        encode({"detail": [{"loc": ["body", "messages", 0], "msg": "Field required"}]})
    )
    assert (said.param, said.message) == ("messages.0", "Field required (messages.0)")
    assert of(message="n is too large", param="n").message == "n is too large"
    assert of(message="too large", param="").param is None
    assert of(message="too large").param is None


def test_a_body_without_a_message_is_shown_as_it_is() -> None:
    assert complaint(b'{"a": [1]}').message == '{"a":[1]}'
    assert (complaint(b"{}").message, complaint(b"").message) == ("", "")
    assert complaint(b'"just words"') == complaint(b"just words")


def test_a_long_speech_is_cut_to_a_line_of_300_characters() -> None:
    for content in (b"x" * 5_000, encode({"message": "x" * 5_000})):
        said = complaint(content)
        assert (len(said.message), len(said.text)) == (300, 4_000)
    assert complaint(b" a \n  b ").message == "a b"


@pytest.mark.parametrize("error", [None, False, "", {}, []])
def test_an_error_that_is_nothing_is_none(error: Any) -> None:
    assert complaint_in(encode({"error": error, "choices": []})) is None


def test_an_error_in_an_answer_is_read_as_any_other() -> None:
    found = complaint_in(encode({"choices": [], "error": {"message": "busy", "code": 503}}))
    assert found is not None and (found.message, found.status) == ("busy", 503)
    assert complaint_in(b'{"choices": []}') is None
    assert complaint_in(b'{"error": broken') is None
