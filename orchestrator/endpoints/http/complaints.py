"""What a server says when it does not answer: error bodies of every shape, read as one.

OpenAI, vLLM, TGI, FastAPI, Gemini, Anthropic, Mistral, Bedrock and the gateways in front of them
each wrap their message another way, and gateways wrap one another's. The innermost message is the
provider's own, and the one a person needs.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding raises: the last one for JSON that is nested too deep."""

_WRAPPERS = (
    "error", "detail", "message", "errors", "msg", "metadata", "raw", "innererror",
    "provider_specific_fields",
)  # fmt: skip
"""Keys under which a message or another error is found, the outermost first."""

_CODES = ("code", "type", "error_type", "status")
_NAMELESS = re.compile(
    r"(?i)provider returned error|upstream error|bad request|error|none|"
    r"(?:404 )?(?:page |resource )?not found|method not allowed|(?:401 |403 )?(?:unauthorized|"
    r"forbidden)|access denied|permission[ _]denied|"
)
"""Messages that say nothing a person could act on."""

_DEEPEST = 8
_LONGEST = 300
_KINDS = {
    "rate_limit_error": 429, "rate_limit_exceeded": 429, "resource_exhausted": 429,
    "insufficient_quota": 429, "overloaded_error": 503, "overloaded": 503, "unavailable": 503,
    "server_error": 500, "internal_error": 500, "internal_server_error": 500, "api_error": 500,
    "internal": 500, "authentication_error": 401, "invalid_api_key": 401, "unauthenticated": 401,
    "permission_error": 403, "permission_denied": 403, "invalid_request_error": 400,
    "badrequesterror": 400, "invalid_argument": 400, "not_found_error": 404,
    "model_not_found": 404,
}  # fmt: skip
"""HTTP statuses that the commonest names of errors stand for."""


class _Envelope(msgspec.Struct):
    error: msgspec.Raw = msgspec.Raw()


_envelope = msgspec.json.Decoder(_Envelope)
_NO_ERROR = (b"", b"null", b"false", b'""', b"{}", b"[]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """``message`` is the provider's own; ``codes`` are all names and numbers given to the error, in
    lower case; ``param`` is the field of the request it is about, where it says one; ``text`` is
    all that was said, to look for signs in."""

    message: str
    codes: frozenset[str] = frozenset()
    param: str | None = None
    text: str = ""

    @property
    def is_telling(self) -> bool:
        """Whether the message says more than the status does."""
        return not _NAMELESS.fullmatch(self.message.strip(" ."))

    @property
    def status(self) -> int | None:
        """The HTTP status that the error itself names."""
        numbers = [int(code) for code in self.codes if code.isdecimal() and len(code) == 3]
        named = [_KINDS[code] for code in sorted(self.codes) if code in _KINDS]
        return next((each for each in (*sorted(numbers), *named) if 400 <= each < 600), None)


def complaint(content: bytes) -> Complaint:
    """What an answer that is an error says."""
    try:
        body = msgspec.json.decode(content)
    except UNREADABLE:
        return _plain(content.decode(errors="replace"))
    return _read(body)


def complaint_in(content: bytes) -> Complaint | None:
    """The error in an answer whose status says that there is none, if it holds one."""
    if b'"error"' not in content:
        return None
    try:
        error = bytes(_envelope.decode(content).error)
        return None if error in _NO_ERROR else _read({"error": msgspec.json.decode(error)})
    except UNREADABLE:
        return None


def _plain(text: str) -> Complaint:
    return Complaint(message=_one_line(text), text=text[:4_000])


def _read(body: Any) -> Complaint:
    if isinstance(body, str):
        return _plain(body)
    messages, codes, params = [], set(), []
    for kind, said in _said(body, 0):
        if kind == "message":
            messages.append(said)
        elif kind == "param":
            params.append(said)
        else:
            codes.add(said.lower())
    telling = [each for each in messages if not _NAMELESS.fullmatch(each.strip(" ."))]
    best = (telling or messages or [msgspec.json.encode(body).decode() if body else ""])[-1]
    param = params[-1] if params else None
    if param is not None and param not in best:
        best = f"{best} ({param})"
    return Complaint(
        message=_one_line(best),
        codes=frozenset(codes),
        param=param,
        text=" ".join([*messages, *sorted(codes)])[:4_000],
    )


def _said(body: Any, depth: int) -> Iterator[tuple[str, str]]:
    """Messages, codes and parameters of an error, the outermost first."""
    if depth > _DEEPEST:
        return
    if isinstance(body, list):
        for each in body:
            yield from _said(each, depth + 1)
    elif isinstance(body, dict):
        for key in _CODES:
            if isinstance(code := body.get(key), str | int) and not isinstance(code, bool):
                yield "code", str(code)
        if isinstance(param := body.get("param"), str) and param:
            yield "param", param
        if isinstance(where := body.get("loc"), list):  # one of FastAPI's list of what is wrong
            yield "param", ".".join(str(part) for part in where if part != "body")
        for key in _WRAPPERS:
            said = body.get(key)
            if isinstance(said, str):
                yield from _unwrapped(said, depth)
            elif said is not None:
                yield from _said(said, depth + 1)


def _unwrapped(text: str, depth: int) -> Iterator[tuple[str, str]]:
    """A message, or the error that is written in it as JSON, as gateways pass it on."""
    if text.lstrip().startswith(("{", "[")):
        try:
            inner = msgspec.json.decode(text)
        except UNREADABLE:
            pass
        else:
            yield from _said(inner, depth + 1)
            return
    yield "message", text


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_LONGEST]
