"""How bytes reach a server and come back: the one thing that differs between self-hosted servers,
hosted APIs and a simulated fleet.

To self-hosted servers it is aiohttp: the openai SDK's default transport costs 70 times the client
CPU a request and cannot hold a thousand requests in flight, and aiohttp closes its connection as
soon as the waiting task is cancelled, which is what makes a server stop working on an answer nobody
wants.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, Self

import aiohttp
from asyncio_throttle.throttler import Throttler

from orchestrator.endpoints.http.connecting import censored, failure
from orchestrator.endpoints.http.open_files import OPEN_FILES
from orchestrator.errors import BadResponse

LARGEST = 64 * 2**20
"""Bytes of the largest answer that is read."""

LOOKS_A_SECOND = 100
"""GETs, for health, load and models, that one endpoint's replicas are sent between them: hundreds
that come back at once are not asked in one burst."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """What a server said, whatever its ``status``. Header names are looked up in any case."""

    status: int
    content: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Sender(Protocol):
    """Sends one request to one server, once. An async context manager that owns its connections."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exception: object) -> None: ...

    async def send(self, method: str, url: str, body: bytes | None) -> HttpResponse:
        """Cancelling it closes the connection. Raises ``EndpointUnavailable`` where nothing
        answers, or not in time, and ``EndpointRefused`` where ``url`` is none."""
        ...


class AiohttpSender:
    """Requests over aiohttp; ``timeout`` (seconds) bounds each, ``largest`` (bytes) each answer.

    A server is not trusted with more than its requests: redirects are not followed, since the key
    is for this server alone, and nothing is decompressed, since a little can hold a lot.
    """

    def __init__(
        self, *, api_key: str | None = None, timeout: float = 600.0, largest: int = LARGEST
    ) -> None:
        self._api_key = api_key
        self._timeout = timeout
        self._largest = largest
        self._session: aiohttp.ClientSession | None = None
        self._looks = Throttler(rate_limit=LOOKS_A_SECOND, period=1.0)

    async def __aenter__(self) -> Self:
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if self._api_key:
            headers["Authorization"] = f"Bearer {self._api_key}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
            timeout=aiohttp.ClientTimeout(total=self._timeout, sock_connect=10),
            headers=headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )
        OPEN_FILES.join()
        return self

    async def __aexit__(self, *exception: object) -> None:
        if self._session is not None:
            await self._session.close()
            OPEN_FILES.leave()

    async def send(self, method: str, url: str, body: bytes | None) -> HttpResponse:
        if self._session is None:
            raise RuntimeError("an AiohttpSender is used inside `async with`")
        if method == "GET":
            async with self._looks:
                pass
        try:
            async with self._session.request(
                method, url, data=body, allow_redirects=False
            ) as response:
                content = censored(await self._read(response, url), self._api_key)
                return HttpResponse(
                    status=response.status, content=content, headers=response.headers
                )
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise failure(error, url, self._timeout, self._api_key) from error

    async def _read(self, response: aiohttp.ClientResponse, url: str) -> bytes:
        length, largest = response.content_length, self._largest
        if length is not None and length <= largest:
            return await response.read()
        parts, size = [], 0
        if length is None:
            async for part in response.content.iter_any():
                parts.append(part)
                size += len(part)
                if size > largest:
                    break
            else:
                return b"".join(parts)
        response.close()  # and the rest of it is never read
        raise too_large(url, largest)


def too_large(url: str, largest: int) -> BadResponse:
    return BadResponse(
        f"{url} answers more than {largest / 2**20:g} MiB: is it the API? If it is, ask for fewer "
        "samples (`n`), or for none of their log-probabilities (`logprobs: false`)",
        url=url,
    )
