"""Servers in virtual time that do as a request's text says: ``good``, or the name of a misdeed."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec

from orchestrator.endpoints.http.retry import RetryPolicy
from orchestrator.endpoints.http.sender import HttpResponse
from orchestrator.endpoints.http.wire import ChatRequest, ChatResponse, encode
from orchestrator.endpoints.transport.transport import Endpoint, Transport
from orchestrator.errors import (
    EndpointError,
)

CHAT = "/v1/chat/completions"
A, B, C = "http://a", "http://b", "http://c"
RUNNING = RetryPolicy(patience=120.0)
GOOD = encode({"model": "m", "choices": [{"index": 0, "message": {"content": "x"}}]})


def said(status: int, message: str, **more: object) -> HttpResponse:
    return HttpResponse(status=status, content=encode({"error": {"message": message, **more}}))


MISDEEDS: dict[str, HttpResponse] = {
    "refused": said(400, "this one I do not like"),
    "unprocessable": said(422, "this one I do not like"),
    "firewall": HttpResponse(status=403, content=b"<html>Sorry, you have been blocked</html>"),
    "parameter": said(400, "n must be at least 1"),
    "crash": said(500, "EngineCore met an illegal memory access"),
    "gateway": said(502, "bad gateway"),
    "inside": said(200, "Provider returned error", code=502),
    "empty": HttpResponse(status=200, content=b""),
    "null": HttpResponse(status=200, content=encode({"model": "m", "choices": None})),
    "surrogate": HttpResponse(status=200, content=b'{"model": "m", "choices": "\\ud83d"}'),
    "page": HttpResponse(status=200, content=b"<html>Welcome</html>"),
}  # fmt: skip
BAD_ANSWERS = ["inside", "empty", "null", "surrogate", "page", "gateway"]


@dataclass
class Servers:
    """``all_do`` what is named, if anything, at the bases it is given for."""

    delay: float = 1.0
    all_do: dict[str, str] = field(default_factory=dict)
    once: set[str] = field(default_factory=set)
    texts: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)

    async def __aenter__(self) -> "Servers":
        return self

    async def __aexit__(self, *exception: object) -> None:
        pass

    async def send(self, method: str, url: str, body: bytes | None) -> HttpResponse:
        if body is None:
            self.health.append(url)
            return HttpResponse(status=404, content=b"")
        request = msgspec.json.decode(body)
        text = request["messages"][0]["content"]
        self.texts.append(text)
        base = url.removesuffix(CHAT)
        deed = self.all_do.get(base) or (MISDEEDS.get(text.split()[0]) and text.split()[0])
        if deed is None or (text in self.once and self.texts.count(text) > 1):
            await asyncio.sleep(self.delay)
            return HttpResponse(status=200, content=GOOD)
        return MISDEEDS[deed]


def ask(text: str, **more: Any) -> ChatRequest:
    return ChatRequest(model="m", messages=[{"role": "user", "content": text}], **more)


@asynccontextmanager
async def serving(servers: Servers, *urls: str, retry: RetryPolicy = RUNNING) -> Any:
    endpoint = Endpoint(urls=urls or (A,), model="m", retry=retry)
    async with Transport(endpoint, servers) as transport:

        async def post(text: str, **more: Any) -> Exception | None:
            try:
                await transport.post(CHAT, ask(text, **more), ChatResponse)
            except EndpointError as error:
                return error
            return None

        post.transport = transport  # type: ignore[attr-defined]
        yield post


def now() -> float:
    return asyncio.get_running_loop().time()
