"""Requests to hosted APIs through the openai SDK, on its aiohttp transport.

There the provider's rate limit rules, not the client's CPU, and the SDK follows what the providers
change: keys, Azure's paths and versions. Retries, limits and time are the dispatcher's as
everywhere, so the SDK's own are off.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
import httpx2
import msgspec
from openai import (
    APIConnectionError,
    APIStatusError,
    AsyncAzureOpenAI,
    AsyncOpenAI,
    DefaultAioHttpClient,
    OpenAIError,
)

from orchestrator.endpoints.hosted.clouds import HostedAPI
from orchestrator.endpoints.hosted.dialect import Dialect
from orchestrator.endpoints.hosted.negotiation import negotiate
from orchestrator.endpoints.http.connecting import censored, failure
from orchestrator.endpoints.http.open_files import OPEN_FILES
from orchestrator.endpoints.http.sender import LARGEST, HttpResponse, too_large
from orchestrator.errors import EndpointError, EndpointRefused

_OPTIONS: Any = {"headers": {"Accept-Encoding": "identity"}}
"""Of every request: answers come as they are, since they are not decompressed."""

_NO_KEY = "none"
"""What the SDK is given where there is no key, since it demands one."""


class HostedSender:
    """Requests to one hosted model; ``timeout`` (seconds) bounds each, ``largest`` (bytes) each
    answer.

    As with ``AiohttpSender``, redirects are not followed and nothing is decompressed. What the API
    refuses is left out from then on: see ``dialect``, which may start with what was learned before.
    ``api_version`` is Azure's.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        api: HostedAPI = "openai",
        api_key: str | None = None,
        api_version: str | None = None,
        timeout: float = 600.0,
        largest: int = LARGEST,
        dialect: Dialect | None = None,
    ) -> None:
        self.dialect = dialect or Dialect()
        self._written = {url.rstrip("/").removesuffix("/v1"): url.rstrip("/") for url in urls}
        self._api = api
        self._api_key = api_key
        self._api_version = api_version
        self._timeout = timeout
        self._largest = largest
        self._clients: dict[str, AsyncOpenAI] = {}
        self._open: AsyncExitStack | None = None

    async def __aenter__(self) -> Self:
        self._open = AsyncExitStack()
        OPEN_FILES.join()
        return self

    async def __aexit__(self, *exception: object) -> None:
        if self._open is not None:
            await self._open.aclose()
            OPEN_FILES.leave()
            self._open = None
            self._clients.clear()

    async def send(self, method: str, url: str, body: bytes | None) -> HttpResponse:
        base, _, route = url.rpartition("/v1/")
        if not base:
            return _refused("a hosted API has no such route", status=404)
        client = await self._client(base, url)
        if body is None:
            return await self._exchange(client, url, f"/{route}", None)
        asked = msgspec.json.decode(body)
        if asked.get("continue_final_message"):
            return _refused("a hosted API does not go on with an open assistant message")

        async def send(sent: dict[str, Any]) -> HttpResponse:
            return await self._exchange(client, url, f"/{route}", sent)

        return await negotiate(self, asked, send, url)

    async def _client(self, base: str, url: str) -> AsyncOpenAI:
        if self._open is None:
            raise RuntimeError("a HostedSender is used inside `async with`")
        client = self._clients.get(base)
        if client is None:
            try:
                made = self._made(self._written.get(base, base))
            except (httpx2.InvalidURL, ValueError) as error:
                raise EndpointRefused(
                    f"{url!r} is not a URL: write it as https://host/v1", url=url
                ) from error
            client = self._clients[base] = await self._open.enter_async_context(made)
        return client

    def _made(self, url: str) -> AsyncOpenAI:
        split = urlsplit(url)
        if split.scheme not in ("http", "https") or not split.hostname:
            raise ValueError(url)
        key = self._api_key or _NO_KEY
        # The dispatcher bounds the requests in flight; aiohttp takes 0 for no bound of its own.
        http = DefaultAioHttpClient(
            limits=httpx2.Limits(max_connections=0, keepalive_expiry=30),
            timeout=httpx2.Timeout(self._timeout, connect=10.0),
            follow_redirects=False,
            event_hooks={"response": [self._bound]},
        )
        if self._api == "azure":
            root = url.removesuffix("/openai")
            return AsyncAzureOpenAI(
                base_url=f"{root}/openai",
                api_key=key,
                api_version=self._api_version,
                max_retries=0,
                http_client=http,
            )
        # A bare host stands for its /v1; a path is taken as it is written.
        base_url = url if split.path else f"{url}/v1"
        return AsyncOpenAI(base_url=base_url, api_key=key, max_retries=0, http_client=http)

    async def _exchange(
        self, client: AsyncOpenAI, url: str, route: str, body: Mapping[str, Any] | None
    ) -> HttpResponse:
        ask: Any = client.get if body is None else client.post
        payload = {} if body is None else {"body": body}
        try:
            async with asyncio.timeout(self._timeout):
                try:
                    response: httpx2.Response = await ask(
                        route, cast_to=httpx2.Response, options=_OPTIONS, **payload
                    )
                except APIStatusError as error:
                    response = error.response
        except (
            TimeoutError, APIConnectionError, httpx2.HTTPError, aiohttp.ClientError, OSError
        ) as error:  # fmt: skip
            root = _root(error)
            if isinstance(root, EndpointError):
                raise root from None
            raise failure(root, url, self._timeout, self._api_key) from error
        if packed := response.extensions.get("packed"):
            response.headers["Content-Encoding"] = packed
        return HttpResponse(
            status=response.status_code,
            content=censored(response.content, self._api_key),
            headers=response.headers,
        )

    async def _bound(self, response: httpx2.Response) -> None:
        """Let no more of an answer be read than is allowed, whatever its status."""
        packed = response.headers.pop("Content-Encoding", None)  # a little can hold a lot
        response.extensions["packed"] = packed
        response.stream = _Bounded(response.stream, str(response.url), self._largest)


class _Bounded(httpx2.AsyncByteStream):
    """An answer's body, of ``largest`` bytes at most. Reading on raises ``BadResponse``."""

    def __init__(self, stream: Any, url: str, largest: int) -> None:
        self._stream = stream
        self._url = url
        self._largest = largest

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for part in self._stream:
            size += len(part)
            if size > self._largest:
                raise too_large(self._url, self._largest)
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()


def _root(error: BaseException) -> BaseException:
    """What aiohttp said, which its wrappings call otherwise: a refused connection a timeout."""
    while isinstance(error, OpenAIError | httpx2.HTTPError) and error.__cause__ is not None:
        error = error.__cause__
    return error


def _refused(why: str, status: int = 400) -> HttpResponse:
    return HttpResponse(status=status, content=msgspec.json.encode({"error": {"message": why}}))
