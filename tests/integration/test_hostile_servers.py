"""Servers that mean harm cost a request, and no more: not memory, not a key, not the terminal."""

import asyncio
import gzip
import resource
import shutil
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from orchestrator.endpoints.hosted.sender import HostedSender
from orchestrator.endpoints.http.retry import RetryPolicy
from orchestrator.endpoints.http.sender import AiohttpSender
from orchestrator.endpoints.http.wire import ChatRequest, ChatResponse
from orchestrator.endpoints.transport.transport import Endpoint, Transport
from orchestrator.errors import BadResponse, EndpointError, EndpointRefused, EndpointUnavailable
from tests.integration.misbehaving import CHAT, Answer, Server, changed, running, status, text
from tests.integration.serving import self_signed, served

KEY = "sk-orchard-secret"
ONCE = RetryPolicy(attempts=1)
ASK = ChatRequest(model="policy", messages=[{"role": "user", "content": "hello"}])


Fails = Callable[..., Awaitable[EndpointError]]


@pytest.fixture(params=[AiohttpSender, HostedSender])
def failure(request: pytest.FixtureRequest) -> Fails:
    """What one request fails with, in one line that does not hold the key."""

    async def fails(url: str, *, seconds: float = 20.0, largest: int = 2**20) -> EndpointError:
        settings = {"api_key": KEY, "timeout": seconds, "largest": largest}
        sender = (
            AiohttpSender(**settings)
            if request.param is AiohttpSender
            else HostedSender((url,), **settings)
        )
        endpoint = Endpoint(urls=(url,), model="policy", api_key=KEY, retry=ONCE, timeout=seconds)
        async with Transport(endpoint, sender) as transport:
            with pytest.raises(EndpointError) as caught:
                await transport.post(CHAT, ASK, ChatResponse)
        assert "\n" not in str(caught.value) and KEY not in str(caught.value)
        assert KEY not in repr(endpoint)
        return caught.value

    return fails


def endless(
    part: bytes, *, pause: float = 0.0, code: int = 200, headers: dict[str, str] | None = None
) -> Answer:
    async def answer(request: web.Request, good: Any) -> web.StreamResponse:
        response = web.StreamResponse(status=code, headers=headers)
        await response.prepare(request)
        while True:
            await response.write(part)
            await asyncio.sleep(pause)

    return answer


@pytest.mark.parametrize("code", [200, 500])
async def test_an_endless_answer_is_cut_off(server: Server, failure: Fails, code: int) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    server.on(CHAT, endless(b" " * 65_536, code=code), forever=True)
    error = await failure(server.url)
    assert isinstance(error, BadResponse)
    assert "answers more than 1 MiB: is it the API?" in str(error)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


async def test_an_answer_that_announces_ten_gigabytes_is_not_read(
    server: Server, failure: Fails
) -> None:
    large = endless(b" " * 1_024, headers={"Content-Length": str(10 * 2**30)})
    server.on(CHAT, large, forever=True)
    assert isinstance(await failure(server.url), BadResponse)


async def test_a_slow_drip_ends_with_the_timeout(server: Server, failure: Fails) -> None:
    server.on(CHAT, endless(b" ", pause=0.05), forever=True)
    error = await failure(server.url, seconds=0.5)
    assert isinstance(error, EndpointUnavailable) and error.timed_out


@pytest.mark.parametrize(
    "body",
    [
        '{"model": "policy", "choices": [], "x": ' + "[" * 200_000,
        '{"model": "policy", "choices": ' + "[" * 200_000 + "]" * 200_000 + "}",
        '{"x": ' * 100_000,
    ],
)
@pytest.mark.parametrize("code", [200, 500])
async def test_json_nested_too_deep_is_a_bad_answer(
    server: Server, failure: Fails, body: str, code: int
) -> None:
    server.on(CHAT, text(body, "application/json", code), forever=True)
    error = await failure(server.url)
    assert isinstance(error, BadResponse if code == 200 else EndpointUnavailable)
    assert len(str(error)) < 500


async def test_what_a_server_says_cannot_write_on_the_terminal(
    server: Server, failure: Fails
) -> None:
    nasty = "\x1b[2J\x1b]0;owned\x07 busy \u202e\r\x9b31m"
    for bad in (status(500, nasty), text(nasty, code=500), status(400, nasty)):
        server.rules.clear()
        server.on(CHAT, bad, forever=True)
        error = await failure(server.url)
        assert "busy" in str(error) and str(error).isprintable()


async def test_a_redirect_is_not_followed_with_the_key(server: Server, failure: Fails) -> None:
    async with running() as other:

        async def redirect(request: web.Request, good: Any) -> web.StreamResponse:
            return web.Response(status=307, headers={"Location": f"{other.url}{CHAT}"})

        server.on(CHAT, redirect, forever=True)
        error = await failure(server.url)
        assert isinstance(error, EndpointRefused)
        assert f"redirects (307) to {other.url}{CHAT}: write the URL where the API is" in str(error)
        assert not other.calls


async def test_a_compressed_bomb_is_not_unpacked(server: Server, failure: Fails) -> None:
    bomb = gzip.compress(b" " * (64 * 2**20))

    async def answer(request: web.Request, good: Any) -> web.StreamResponse:
        assert request.headers["Accept-Encoding"] == "identity"
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})

    server.on(CHAT, answer, forever=True)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert isinstance(await failure(server.url), BadResponse)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB


@pytest.mark.parametrize(
    ("body", "headers", "words"),
    [
        (gzip.compress(b"{}"), {"Content-Encoding": "gzip"}, "compressed with gzip"),
        (gzip.compress(b"{}"), {}, "compressed with gzip"),
        (zlib.compress(b"{}"), {"Content-Encoding": "deflate"}, "compressed with deflate"),
        (b"\x0b\x01\x80{}\x03", {"Content-Encoding": "br"}, "compressed with br"),
        (b'data: {"choices": []}\n\ndata: [DONE]\n\n', {}, "a stream of events (SSE)"),
        (b"event: error\ndata: {}\n\n", {"Content-Type": "text/event-stream"}, "(SSE)"),
        (b': OPENROUTER PROCESSING\n\n{"model": "policy", "choices": []}', {},
         "comments of an event stream before its JSON (': OPENROUTER PROCESSING')"),
        (b"\n\n: keep-alive\n\n{}", {}, "(': keep-alive')"),
    ],
)  # fmt: skip
async def test_what_was_not_asked_for_is_named(
    server: Server, failure: Fails, body: bytes, headers: dict[str, str], words: str
) -> None:
    async def answer(request: web.Request, good: Any) -> web.StreamResponse:
        return web.Response(body=body, headers=headers)

    server.on(CHAT, answer, forever=True)
    error = await failure(server.url)
    assert isinstance(error, BadResponse)
    assert words in str(error) and "which was not asked for" in str(error)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl signs the certificate")
async def test_a_certificate_nobody_vouches_for_is_refused(tmp_path: Path, failure: Fails) -> None:
    async with served(Server(), self_signed(tmp_path)) as server:
        error = await failure(server.url)
    assert isinstance(error, EndpointRefused)
    assert "shows a certificate that is not trusted" in str(error)
    assert "$SSL_CERT_FILE" in str(error)
    assert not server.calls


async def test_tls_where_there_is_none_is_named(server: Server, failure: Fails) -> None:
    error = await failure(server.url.replace("http://", "https://"))
    assert isinstance(error, EndpointRefused)
    assert "does not speak TLS" in str(error) and "http://" in str(error)


async def test_a_key_that_is_echoed_is_blotted_out_wherever_it_stands(
    server: Server, failure: Fails
) -> None:
    async def header(request: web.Request, good: Any) -> web.StreamResponse:
        given = request.headers["Authorization"]
        return web.Response(status=307, headers={"Location": f"http://x/?{given}"})

    async def malformed(request: web.Request, good: Any) -> web.StreamResponse:
        assert request.transport is not None
        given = request.headers["Authorization"]
        request.transport.write(f"HTTP/1.1 200 OK\r\nX-\x01: {given}\r\n\r\n".encode())
        request.transport.close()
        return web.Response()

    said = f"what is 'Bearer {KEY}'?"
    bodies = [status(500, said), status(400, said), status(404, said), text(said, code=500)]
    for bad in (*bodies, text(said), changed(lambda good: good.update(model=KEY))):
        server.rules.clear()
        server.on(CHAT, bad, forever=True)
        await failure(server.url)  # which says for itself that no key is in it
    for bad in (bodies[0], header, malformed):
        server.rules.clear()
        server.on(CHAT, bad, forever=True)
        assert "Bearer ***" in str(await failure(server.url))
