"""What a server's refusals mean, and answers that are none: for a person, in one line."""

import re

import msgspec

from orchestrator.endpoints.wire import ErrorDetail, ErrorResponse
from orchestrator.errors import (
    BadResponse,
    ContentFiltered,
    ContextOverflow,
    EndpointError,
    EndpointRefused,
    EndpointUnavailable,
)

_OVERFLOW_SIGNS = ("maximum context length", "max_model_len", "context_length_exceeded")

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding raises: the last one for JSON that is nested too deep."""


def what_it_is(content: bytes) -> str:
    """What an answer is that cannot be read."""
    if _is_page(content):
        return "answers an HTML page, not the API: the URL should end where /v1 begins"
    return "answers something other than the OpenAI API promises"


def _is_page(content: bytes) -> bool:
    return content[:200].lstrip().lower().startswith((b"<!doctype", b"<html"))


def refusal(
    status: int,
    content: bytes,
    *,
    url: str,
    model: str,
    retry_after: str | None = None,
    location: str = "",
) -> EndpointError:
    """The error that an HTTP status other than 200 stands for; the last two are headers."""
    error = _error(content)
    said = " ".join(error.message.split())[:300]
    if _is_page(content):
        said = "an HTML page, not the API's own words; is there a proxy in between?"
    if 300 <= status < 400:  # not followed: the key is for this server alone
        return EndpointRefused(
            f"{url} redirects ({status}){f' to {location}' if location else ''}: write the URL "
            "where the API is",
            url=url,
        )
    if status in (401, 403) and _is_page(content):
        return EndpointRefused(f"{url} answers {status}: {said}", url=url)
    if status in (401, 403):
        return EndpointRefused(
            f"{url} refuses the API key ({status}): set the environment variable the config's "
            "`api_key_env` names",
            url=url,
        )
    if "insufficient_quota" in (error.code, error.type):  # a 429, but no rate limit
        return EndpointRefused(
            f"{url} has no quota left for this API key: add credit or raise the limit of its "
            "project",
            url=url,
        )
    if error.code == "content_filter":
        return ContentFiltered(f"{url}: {said}", url=url)
    if error.code == "DeploymentNotFound":
        return EndpointRefused(
            f"{url} has no deployment {model!r}: `model` is the deployment's name on Azure", url=url
        )
    if status == 404 and re.search(rf"(?<![\w.-]){re.escape(model)}(?![\w.-])", said):
        return EndpointRefused(f"{url} does not serve the model {model!r}: {said}", url=url)
    if status == 404 and error.code == "404":  # so Azure says it
        return EndpointRefused(
            f"{url} is not there ({status}): is `api_version` one that Azure has, and `url` the "
            "resource's alone, https://NAME.openai.azure.com?",
            url=url,
        )
    if status in (404, 405) and len(re.findall("/v1(?=/)", url)) > 1:
        return EndpointRefused(
            f"{url} is not there ({status}): /v1 stands in it twice; write the URL up to the first "
            "/v1, without a route",
            url=url,
        )
    if status in (404, 405):
        return EndpointRefused(
            f"{url} is not there ({status}): is this server OpenAI-compatible, and does it serve "
            "this kind of model?",
            url=url,
        )
    if status in (408, 429) or status >= 500:
        return EndpointUnavailable(
            f"{url} answers {status}: {said}",
            url=url,
            answered=True,
            status=status,
            retry_after=_seconds(retry_after),
        )
    if any(sign in said for sign in _OVERFLOW_SIGNS):
        return ContextOverflow(f"{url}: {said}", url=url)
    return EndpointRefused(f"{url} refuses the request ({status}): {said}", url=url)


def miscounted(choices: int, wanted: int, url: str) -> BadResponse:
    """The error of an answer with another number of choices than was asked for."""
    return BadResponse(f"{url} returned {choices} choices where {wanted} were asked for", url=url)


def _error(content: bytes) -> ErrorDetail:
    try:
        error = msgspec.json.decode(content, type=ErrorResponse).error
    except UNREADABLE:
        return ErrorDetail(message=content[:200].decode(errors="replace"))
    return ErrorDetail(message=error) if isinstance(error, str) else error


def _seconds(retry_after: str | None) -> float | None:
    """``Retry-After`` in seconds; the rarer date form is left to the back-off."""
    try:
        return None if retry_after is None else max(0.0, float(retry_after))
    except ValueError:
        return None
