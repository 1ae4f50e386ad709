"""Hosted APIs are reached through the proxy of the environment; one that fails is named."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from orchestrator.endpoints.hosted.sender import HostedSender
from orchestrator.endpoints.http.retry import RetryPolicy
from orchestrator.endpoints.http.wire import ChatRequest, ChatResponse
from orchestrator.endpoints.transport.transport import Endpoint, Transport
from orchestrator.errors import EndpointError, EndpointRefused, EndpointUnavailable

ASK = ChatRequest(model="m", messages=[{"role": "user", "content": "Hello"}])
URLS = ["https://api.example.com/v1", "http://api.example.com/v1"]


async def failure(url: str, monkeypatch: pytest.MonkeyPatch, proxy: str) -> EndpointError:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, proxy)
    endpoint = Endpoint(urls=(url,), model="m", retry=RetryPolicy(attempts=1), checks_model=False)
    async with Transport(endpoint, HostedSender((url,), api_key="k", timeout=5.0)) as transport:
        with pytest.raises(EndpointError) as caught:
            await transport.post("/v1/chat/completions", ASK, ChatResponse)
    assert "secret" not in str(caught.value) and "\n" not in str(caught.value)
    return caught.value


@asynccontextmanager
async def answering(line: str) -> AsyncIterator[str]:
    """A proxy that answers everything so."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://user:secret@127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("url", URLS)
async def test_a_proxy_that_is_not_there_is_named(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    error = await failure(url, monkeypatch, f"http://user:secret@127.0.0.1:{port}")
    assert isinstance(error, EndpointUnavailable)
    variable = f"{url.partition(':')[0].upper()}_PROXY"
    assert f"the proxy 127.0.0.1:{port} of ${variable} does not answer" in str(error)
    assert "connection refused" in str(error) and "$NO_PROXY" in str(error)


@pytest.mark.parametrize("url", URLS)
async def test_a_proxy_whose_name_nobody_knows_is_named(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = await failure(url, monkeypatch, "http://no-such-proxy.invalid:3128")
    assert "the proxy no-such-proxy.invalid:3128 of $HTTP" in str(error)


@pytest.mark.parametrize("url", URLS)
async def test_a_proxy_that_wants_a_password_is_named(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with answering("407 Proxy Authentication Required") as proxy:
        error = await failure(url, monkeypatch, proxy)
    assert isinstance(error, EndpointRefused)
    assert "the proxy 127.0.0.1:" in str(error) and "wants a user and a password" in str(error)


async def test_a_proxy_that_lets_nothing_through_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    async with answering("403 Forbidden") as proxy:
        error = await failure(URLS[0], monkeypatch, proxy)
    assert isinstance(error, EndpointUnavailable)
    assert "the proxy 127.0.0.1:" in str(error) and "(403 Forbidden)" in str(error)
