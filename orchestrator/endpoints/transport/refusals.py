"""What a server's refusals mean, and answers that are none: for a person, in one line."""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from orchestrator.endpoints.admission.quotas import UNKNOWN, quota, retry_after
from orchestrator.endpoints.http.complaints import Complaint, complaint, complaint_in
from orchestrator.endpoints.http.connecting import wants_credentials
from orchestrator.endpoints.transport.wordings import (
    says_account,
    says_filtered,
    says_overflow,
    says_too_large_for_the_rate,
)
from orchestrator.errors import (
    BadResponse,
    ContentFiltered,
    ContextOverflow,
    EndpointError,
    EndpointRefused,
    EndpointUnavailable,
)

_PERHAPS_THE_PROMPTS = (400, 403, 406, 409, 413, 414, 422, 424, 451)
"""Statuses that servers give to one prompt as well as to every request."""

_BROKEN_OFF = (408, 425, 499)
"""Statuses below 500 of a request that took too long, or that a gateway or an engine gave up."""

_PARAMETERS = (
    "n", "max_tokens", "max_completion_tokens", "max_new_tokens", "temperature", "top_p", "top_k",
    "seed", "stop", "logprobs", "top_logprobs", "include_stop_str_in_output", "return_token_ids",
    "add_generation_prompt", "continue_final_message", "logprob_token_ids", "prompt_logprobs",
    "model",
)  # fmt: skip
_NAMES_A_PARAMETER = re.compile(
    rf"(?:^|['\"`(])(?:{'|'.join(_PARAMETERS)})(?:$|['\"`):]| (?:must|should|is|has|cannot|can) )"
)


_OTHER = "answers something other than the OpenAI API promises"


def what_it_is(content: bytes, headers: Mapping[str, str] | None = None) -> str:
    """What an answer is that cannot be read, and what to do about it."""
    start = content[:400].lstrip()
    packed = (headers or {}).get("Content-Encoding", "identity").lower()
    if content[:2] == b"\x1f\x8b" or packed not in ("", "identity"):
        how = "gzip" if content[:2] == b"\x1f\x8b" else packed
        return (
            f"answers compressed with {how}, which was not asked for (Accept-Encoding: identity): "
            "turn compression off at the server or the proxy in front of it"
        )
    if _is_page(content):
        return "answers an HTML page, not the API: the URL should end where /v1 begins"
    if start.startswith(b":"):
        comment = start.partition(b"\n")[0][:60].decode(errors="replace").strip()
        return (
            f"answers with comments of an event stream before its JSON ({comment!r}), which was "
            "not asked for: turn streaming and keep-alive comments off at the server or the proxy"
        )
    if re.match(rb"(?:data|event|id|retry):", start):
        return (
            "answers a stream of events (SSE), which was not asked for: turn streaming off at the "
            "server or the proxy in front of it"
        )
    if not start:
        return f"{_OTHER}: its body is empty"
    if re.search(rb"\\u[dD][89a-fA-F]", content):
        return f"{_OTHER}: half a character (a lone surrogate), which is no text"
    return _OTHER


def unreadable(
    content: bytes, why: Exception, *, url: str, headers: Mapping[str, str] | None = None
) -> BadResponse:
    """The error of an answer that cannot be decoded; what the server says of it comes first."""
    said = complaint(content).message if content.lstrip()[:1] == b"{" else ""
    if said and said.lstrip()[:1] not in "{[":
        return BadResponse(f"{url} answers, where its answer should stand: {said}", url=url)
    return BadResponse(f"{url} {what_it_is(content, headers)} ({why})", url=url)


def error_in(
    content: bytes, *, url: str, model: str, headers: Mapping[str, str] | None = None
) -> EndpointError | None:
    """The error that stands in an answer of status 200, as if it came with the status it names."""
    said = complaint_in(content)
    if said is None:
        return None
    if says_overflow(said) or says_filtered(said):
        return _error(said.status or 400, said, url=url, model=model)
    if said.status is None or said.status in (404, 405):  # the route is there, or it were no 200
        return BadResponse(f"{url} answers an error: {said.message}", url=url)
    error = _error(said.status, said, url=url, model=model, content=content, headers=headers)
    if isinstance(error, EndpointUnavailable):
        error.is_doubtful = error.status != 429  # whoever answers 200 is there
    return error


def is_blocked(content: bytes) -> bool:
    """Whether an answer without a choice says that a filter stopped the prompt, as Gemini's do."""
    return (
        re.search(rb'"(?:promptFeedback|blockReason|prompt_feedback|block_reason)"', content)
        is not None
    )


def _is_page(content: bytes) -> bool:
    return content[:200].lstrip().lower().startswith((b"<!doctype", b"<html"))


def refusal(
    status: int,
    content: bytes,
    *,
    url: str,
    model: str,
    headers: Mapping[str, str] | None = None,
    location: str = "",
) -> EndpointError:
    """The error that an HTTP status other than 200 stands for; ``location`` is the header of that
    name, without secrets."""
    if 300 <= status < 400:  # not followed: the key is for this server alone
        return EndpointRefused(
            f"{url} redirects ({status}){f' to {location}' if location else ''}: write the URL "
            "where the API is",
            url=url,
        )
    if status == 407:
        return wants_credentials(url)
    said = complaint(content)
    if _is_page(content):
        page = "an HTML page, not the API's own words; is there a proxy in between?"
        said = Complaint(message=page)
        if status in (401, 403):
            return EndpointRefused(
                f"{url} answers {status}: {page}",
                url=url,
                says=page if status == 403 else None,  # so firewalls refuse a text
                names_cause=True,
            )
    return _error(status, said, url=url, model=model, content=content, headers=headers)


def _error(
    status: int,
    said: Complaint,
    *,
    url: str,
    model: str,
    content: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> EndpointError:
    answer = _Refusal(status, said, url, model, content, headers or {})
    return next(error for meaning in _MEANINGS if (error := meaning(answer)) is not None)


class _Refusal(NamedTuple):
    """An answer that is an error, and what was asked of whom."""

    status: int
    said: Complaint
    url: str
    model: str
    content: bytes
    headers: Mapping[str, str]


def _account(answer: _Refusal) -> EndpointError | None:
    status, said, url = answer.status, answer.said, answer.url
    if status < 500 and says_account(said):
        return EndpointRefused(f"{url} refuses the account ({status}): {said.message}", url=url)
    return None


def _filtered(answer: _Refusal) -> EndpointError | None:
    if answer.status not in (401, 402, 404, 405, 429) and says_filtered(answer.said):
        return ContentFiltered(f"{answer.url}: {answer.said.message}", url=answer.url)
    return None


def _access(answer: _Refusal) -> EndpointError | None:
    status, said, url = answer.status, answer.said, answer.url
    if status not in (401, 403):
        return None
    key = "set the environment variable the config's `api_key_env` names"
    return EndpointRefused(
        f"{url} refuses access (403): {said.message}; if it is the API key, {key}"
        if status == 403 and said.is_telling
        else f"{url} refuses the API key ({status}): {key}"
        + (f"; it says: {said.message}" if said.is_telling else ""),
        url=url,
        says=said.message if status == 403 else None,
        names_cause=True,
    )


def _quota(answer: _Refusal) -> EndpointError | None:
    """OpenAI's 429 that is no rate limit."""
    if "insufficient_quota" not in answer.said.codes:
        return None
    return EndpointRefused(
        f"{answer.url} has no quota left for this API key: add credit or raise the limit of its "
        "project",
        url=answer.url,
    )


def _deployment(answer: _Refusal) -> EndpointError | None:
    if "deploymentnotfound" not in answer.said.codes:
        return None
    return EndpointRefused(
        f"{answer.url} has no deployment {answer.model!r}: `model` is the deployment's name on "
        "Azure",
        url=answer.url,
    )


def _unserved(answer: _Refusal) -> EndpointError | None:
    url, model, message = answer.url, answer.model, answer.said.message
    if answer.status == 404 and re.search(rf"(?<![\w.-]){re.escape(model)}(?![\w.-])", message):
        return EndpointRefused(f"{url} does not serve the model {model!r}: {message}", url=url)
    return None


def _not_there(answer: _Refusal) -> EndpointError | None:
    status, said, url = answer.status, answer.said, answer.url
    if status not in (404, 405):
        return None
    is_not = f"is not there ({status}):"
    if status == 404 and said.message == "Resource not found":  # so Azure says it
        why = (
            f"{is_not} is `api_version` one that Azure has, and `url` the resource's alone, "
            "https://NAME.openai.azure.com?"
        )
    elif len(re.findall("/v1(?=/)", url)) > 1:
        why = f"{is_not} /v1 stands in it twice; write the URL up to the first /v1, without a route"
    else:
        why = f"answers {status}: {said.message};" if said.is_telling else is_not
        why += " is this server OpenAI-compatible, and does it serve this kind of model?"
    return EndpointRefused(f"{url} {why}", url=url)


def _too_long(answer: _Refusal) -> EndpointError | None:
    if answer.status != 429 and says_overflow(answer.said):
        return ContextOverflow(f"{answer.url}: {answer.said.message}", url=answer.url)
    return None


def _too_large(answer: _Refusal) -> EndpointError | None:
    status, url, message = answer.status, answer.url, answer.said.message
    if says_too_large_for_the_rate(answer.said):
        return EndpointRefused(
            f"{url} refuses a request that is larger than its rate limit allows in all ({status}): "
            f"{message}",
            url=url,
            says=message,
        )
    if status == 413:
        said = message or "the request is too large"
        return ContextOverflow(f"{url} answers 413: {said}", url=url)
    return None


def _rate_limit(answer: _Refusal) -> EndpointError | None:
    if answer.status != 429:
        return None
    met = quota(answer.headers, answer.content)
    told = "" if met == UNKNOWN else f", {met}"
    return EndpointUnavailable(
        f"{answer.url} answers 429{told}: {answer.said.message}",
        url=answer.url,
        answered=True,
        status=429,
        retry_after=met.ends_in,
        limit=met.name,
    )


def _broken_off(answer: _Refusal) -> EndpointError | None:
    status = answer.status
    if status not in _BROKEN_OFF and status < 500:
        return None
    return EndpointUnavailable(
        f"{answer.url} answers {status}: {answer.said.message}",
        url=answer.url,
        answered=True,
        status=status,
        retry_after=retry_after(answer.headers),
        is_doubtful=status != 408 and status not in (503, 504, 529),
    )


def _refused(answer: _Refusal) -> EndpointError:
    status, said, url = answer.status, answer.said, answer.url
    return EndpointRefused(
        f"{url} refuses the request ({status}): {said.message}",
        url=url,
        says=said.message if status in _PERHAPS_THE_PROMPTS else None,
        names_cause=_is_about_a_parameter(said),
    )


_MEANINGS: tuple[Callable[[_Refusal], EndpointError | None], ...] = (
    _account,
    _filtered,
    _access,
    _quota,
    _deployment,
    _unserved,
    _not_there,
    _too_long,
    _too_large,
    _rate_limit,
    _broken_off,
    _refused,
)
"""What an error may mean; the first that fits is what it means."""


def _is_about_a_parameter(said: Complaint) -> bool:
    """Whether it is how the request was asked, rather than what, by the refusal's own words."""
    named = (said.param or "").rpartition(".")[2]
    return named in _PARAMETERS or _NAMES_A_PARAMETER.search(said.message) is not None


def miscounted(choices: int, wanted: int, url: str) -> BadResponse:
    """The error of an answer with another number of choices than was asked for."""
    return BadResponse(f"{url} returned {choices} choices where {wanted} were asked for", url=url)
