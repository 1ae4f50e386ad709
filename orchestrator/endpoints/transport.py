"""Requests to one endpoint: encoded, sent to one of its replicas, retried, decoded."""

import asyncio
import zlib
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, TypeVar

import msgspec

from orchestrator.core.tree import Node
from orchestrator.endpoints.retry import RetryPolicy, with_retries
from orchestrator.endpoints.sending import AiohttpSender, Sender
from orchestrator.endpoints.wire import ErrorDetail, ErrorResponse, ModelList, encode
from orchestrator.errors import (
    BadResponse,
    ContentFiltered,
    ContextOverflow,
    EndpointError,
    EndpointRefused,
    EndpointUnavailable,
)

T = TypeVar("T")

_OVERFLOW_SIGNS = ("maximum context length", "max_model_len", "context_length_exceeded")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a model is served.

    ``urls`` are replicas of the same model, with or without a trailing ``/v1``; ``model`` is its
    served name; ``timeout`` (seconds) bounds one request; ``concurrency`` bounds requests in
    flight. ``checks_model`` says whether answers must name the model that was asked for, which
    those of hosted APIs need not: a deployment on Azure has a name of its own. ``api_key`` comes
    from the environment and is never written anywhere.
    """

    urls: tuple[str, ...]
    model: str
    api_key: str | None = field(default=None, repr=False)
    timeout: float = 600.0
    concurrency: int = 512
    checks_model: bool = True
    retry: RetryPolicy = field(default_factory=RetryPolicy)

    @property
    def bases(self) -> list[str]:
        """The replicas' roots, without ``/v1``."""
        return [url.rstrip("/").removesuffix("/v1") for url in self.urls]


class Transport:
    """Sends requests to one endpoint. An async context manager that owns its connections."""

    def __init__(self, endpoint: Endpoint, sender: Sender | None = None) -> None:
        self.endpoint = endpoint
        self._sender = sender or AiohttpSender(api_key=endpoint.api_key, timeout=endpoint.timeout)
        self._bases = endpoint.bases
        self._decoders: dict[type, msgspec.json.Decoder[object]] = {}
        self._slots = asyncio.Semaphore(endpoint.concurrency)

    async def __aenter__(self) -> Self:
        await self._sender.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._sender.__aexit__(kind, error, trace)

    def base_for(self, affinity: str, failures: int = 0) -> str:
        """The replica that serves all requests of one affinity, a tree's question for instance:
        its prefix stays in that replica's cache. After each failure it is the next one."""
        if len(self._bases) == 1:
            return self._bases[0]
        return self._bases[(zlib.crc32(affinity.encode()) + failures) % len(self._bases)]

    async def post(
        self, path: str, payload: msgspec.Struct, answer: type[T], *, node: Node | None = None
    ) -> T:
        """POST ``payload`` and decode the answer as ``answer``; failures are retried.

        ``node`` is what the request is for: its question says which replica holds its prefix, its
        tree whose turn it is.

        Raises ``EndpointUnavailable`` or ``BadResponse`` after the last retry, and
        ``EndpointRefused`` or ``ContextOverflow`` at once.
        """
        body = encode(payload)
        affinity = node.question if node is not None else ""
        failures = -1

        async def attempt() -> T:
            nonlocal failures
            failures += 1
            base = self.base_for(affinity, failures)
            async with self._slots:  # not held while a failed request waits for its next try
                content = await self._send("POST", base + path, body)
            decoded = self._decode(content, answer, base + path)
            answered = getattr(decoded, "model", None)  # /tokenize names none
            if answered is not None and self.endpoint.checks_model:
                self._check_model(answered, base + path)
            return decoded

        return await with_retries(attempt, self.endpoint.retry)

    async def get(self, base: str, path: str, answer: type[T]) -> T:
        """GET from one replica, once."""
        return self._decode(await self._send("GET", base + path, None), answer, base + path)

    async def models(self, base: str) -> ModelList:
        """What one replica says it serves."""
        return await self.get(base, "/v1/models", ModelList)

    async def _send(self, method: str, url: str, body: bytes | None) -> bytes:
        answer = await self._sender.send(method, url, body)
        if answer.status == 200:
            return answer.content
        raise refusal(
            answer.status,
            answer.content,
            url=url,
            model=self.endpoint.model,
            retry_after=answer.headers.get("Retry-After"),
        )

    def _decode(self, content: bytes, answer: type[T], url: str) -> T:
        decoder = self._decoders.get(answer)
        if decoder is None:
            decoder = self._decoders[answer] = msgspec.json.Decoder(answer)
        try:
            return decoder.decode(content)  # type: ignore[return-value]
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise BadResponse(f"{url} {_what_it_is(content)} ({error})", url=url) from error

    def _check_model(self, answered: str, url: str) -> None:
        """Hosted models answer under a dated name that starts with the one asked for."""
        if not answered.startswith(self.endpoint.model):
            raise BadResponse(
                f"{url} was asked for the model {self.endpoint.model!r} and answered as "
                f"{answered!r}: name the model it serves",
                url=url,
            )


def _what_it_is(content: bytes) -> str:
    start = content[:200].lstrip().lower()
    if start.startswith((b"<!doctype", b"<html")):
        return "answers an HTML page, not the API: the URL should end where /v1 begins"
    return "answers something other than the OpenAI API promises"


def refusal(
    status: int, content: bytes, *, url: str, model: str, retry_after: str | None = None
) -> EndpointError:
    """The error that an HTTP status other than 200 stands for."""
    error = _error(content)
    said = " ".join(error.message.split())[:300]
    if status in (401, 403):
        return EndpointRefused(
            f"{url} refuses the API key ({status}): set the environment variable the config's "
            "`api_key_env` names",
            url=url,
        )
    if "insufficient_quota" in (error.code, error.type):  # a 429, but no rate limit
        return EndpointRefused(
            f"{url} has no quota left for this API key: add credit or raise the limit of its "
            "project; what is paid for is kept",
            url=url,
        )
    if error.code == "content_filter":
        return ContentFiltered(f"{url}: {said}", url=url)
    if error.code == "DeploymentNotFound":
        return EndpointRefused(
            f"{url} has no deployment {model!r}: `model` is the deployment's name on Azure", url=url
        )
    if status == 404 and model in said:
        return EndpointRefused(f"{url} does not serve the model {model!r}: {said}", url=url)
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
            retry_after=_seconds(retry_after),
        )
    if any(sign in said for sign in _OVERFLOW_SIGNS):
        return ContextOverflow(f"{url}: {said}", url=url)
    return EndpointRefused(f"{url} refuses the request ({status}): {said}", url=url)


def _error(content: bytes) -> ErrorDetail:
    try:
        error = msgspec.json.decode(content, type=ErrorResponse).error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ErrorDetail(message=content[:200].decode(errors="replace"))
    return ErrorDetail(message=error) if isinstance(error, str) else error


def _seconds(retry_after: str | None) -> float | None:
    """``Retry-After`` in seconds; the rarer date form is left to the back-off."""
    try:
        return None if retry_after is None else max(0.0, float(retry_after))
    except ValueError:
        return None
