"""An OpenAI-compatible server that answers at once, always the same, and misbehaves on demand.

Every solution takes ``DEPTH`` steps and states a boxed digit. Texts follow from the seed, the
child's index and the path so far alone, scores from the text, so that two runs of one seed agree.
``on`` puts a scripted answer in front of a route; without one the server behaves.
"""

import asyncio
import hashlib
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.integration.serving import served, served_beside

DEPTH = 3
PROMPT_IDS = 10
STEP_IDS = 5
CHAT, COMPLETIONS, POOLING, MODELS = (
    "/v1/chat/completions", "/v1/completions", "/pooling", "/v1/models",
)  # fmt: skip


@dataclass(slots=True)
class Call:
    """One request as the server saw it; ``left`` is when its client went away early.

    ``tokens`` is what a good answer to it bills, of its prompt and its completion; ``answered`` is
    when a good one was handed to the network.
    """

    path: str
    key: str | None
    body: dict[str, Any]
    at: float
    tokens: int = 0
    answered: float | None = None
    left: float | None = None


Answer = Callable[[web.Request, Any], Awaitable[web.StreamResponse]]
"""From a request and what would be a good answer to it, to the answer it gets."""


@dataclass(slots=True)
class Rule:
    path: str
    answers: list[Answer]
    when: Callable[[dict[str, Any]], bool]
    forever: bool

    def take(self, path: str, body: dict[str, Any]) -> Answer | None:
        if path != self.path or not self.answers or not self.when(body):
            return None
        return self.answers[0] if self.forever else self.answers.pop(0)


@dataclass(slots=True)
class Server:
    """``delay`` is in seconds, of every good answer; ``key`` guards all routes but /health."""

    models: tuple[str, ...] = ("policy", "large", "prm")
    key: str | None = None
    delay: float = 0.0
    url: str = ""
    calls: list[Call] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0
    rules: list[Rule] = field(default_factory=list)

    def on(
        self,
        path: str,
        *answers: Answer,
        when: Callable[[dict[str, Any]], bool] = lambda body: True,
        forever: bool = False,
    ) -> None:
        """Give the next requests to ``path`` these answers, one each, or the one ``forever``."""
        self.rules.append(Rule(path, list(answers), when, forever))

    def seen(self, *paths: str) -> list[Call]:
        return [call for call in self.calls if not paths or call.path in paths]

    def generated(self) -> list[Call]:
        """All but the listing of models."""
        return self.seen(CHAT, COMPLETIONS, POOLING)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.method == "GET" and request.path != MODELS:
            return web.Response(status=404)  # it tells neither its load nor its health
        body = await request.json() if request.can_read_body else {}
        call = Call(request.path, request.headers.get("Authorization"), body, time.monotonic())
        self.calls.append(call)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            if self.key is not None and call.key != f"Bearer {self.key}":
                return web.json_response({"error": "Unauthorized"}, status=401)
            good = self._good(request.path, body)
            usage = good.get("usage", {})
            call.tokens = usage.get("prompt_tokens", 0) + usage.get("completion_tokens", 0)
            for rule in self.rules:
                if (answer := rule.take(request.path, body)) is not None:
                    return await answer(request, good)
            await asyncio.sleep(self.delay)
            call.answered = time.monotonic()
            return web.json_response(good)
        except asyncio.CancelledError:
            call.left = time.monotonic()
            raise
        finally:
            self.in_flight -= 1

    def _good(self, path: str, body: dict[str, Any]) -> Any:
        if path == MODELS:
            cards = [{"id": model, "max_model_len": 512} for model in self.models]
            return {"object": "list", "data": cards}
        if path == POOLING:
            return _scores(body)
        return _chat(body) if path == CHAT else _completion(body)


def _digest(*keys: object) -> int:
    text = "/".join(map(str, keys))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=6).digest(), "big")


def _choice(body: dict[str, Any], index: int, depth: int, path: object) -> dict[str, Any]:
    texts = []
    for level in range(depth, max(depth, DEPTH) + 1):
        mark = _digest(body.get("seed", 0), index, path, level)
        texts.append(
            f"The answer is $\\boxed{{{mark % 3}}}$, by {mark}."
            if level >= DEPTH
            else f"Step {level} of {mark}.\n\n"
        )
    text = "".join(texts)
    met = next((stop for stop in body.get("stop") or () if stop in text), None)
    if met is not None:
        text = text[: text.index(met) + len(met)]
    levels = text.count("\n\n") + (not text.endswith("\n\n"))
    ids = [_digest(step, i) % 50_000 for step in texts[:levels] for i in range(STEP_IDS)]
    return {
        "index": index, "finish_reason": "stop", "stop_reason": met,
        "token_ids": ids if body.get("return_token_ids") else None, "text": text,
    }  # fmt: skip


def _answer(body: dict[str, Any], prompt_tokens: int, choices: list[Any]) -> dict[str, Any]:
    usage = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": STEP_IDS * len(choices),
        "prompt_tokens_details": {"cached_tokens": prompt_tokens // 2},
    }
    return {"id": "x", "created": 0, "model": body.get("model"), "choices": choices, "usage": usage}


def _chat(body: dict[str, Any]) -> dict[str, Any]:
    last = body["messages"][-1]
    said = last["content"] if last["role"] == "assistant" else ""
    question = json.dumps(body["messages"][:-1] if said else body["messages"])
    choices = []
    for index in range(body.get("n", 1)):
        choice = _choice(body, index, 1 + said.count("\n\n"), question + said)
        choice["message"] = {"role": "assistant", "content": choice.pop("text")}
        choices.append(choice)
    ids = [_digest(question, i) % 50_000 for i in range(PROMPT_IDS)]
    open_end = 1 if body.get("continue_final_message") else 0  # a turn's end that is not written
    return {
        **_answer(body, PROMPT_IDS - open_end, choices),
        "prompt_token_ids": ids if body.get("return_token_ids") else None,
    }


def _completion(body: dict[str, Any]) -> dict[str, Any]:
    ids = body["prompt"]
    depth = 1 + (len(ids) - PROMPT_IDS) // STEP_IDS
    choices = [_choice(body, index, depth, ids) for index in range(body.get("n", 1))]
    return _answer(body, len(ids), choices)


def _scores(body: dict[str, Any]) -> dict[str, Any]:
    data = []
    for index, text in enumerate(body["input"]):
        steps = text.split("<extra_0>")[:-1]
        scores = [_digest(step) % 1000 / 1000 for step in steps]
        data.append({"index": index, "data": [[1 - score, score] for score in scores]})
    return {"model": body["model"], "data": data, "usage": {"prompt_tokens": 20 * len(data)}}


# Ways to misbehave


def status(code: int, message: str = "not now", *, retry_after: float | None = None) -> Answer:
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    error = {"message": message, "type": "Error", "param": None, "code": code}

    async def answer(request: web.Request, good: Any) -> web.StreamResponse:
        return web.json_response({"error": error}, status=code, headers=headers)

    return answer


def overflow() -> Answer:
    return status(400, "This model's maximum context length is 512 tokens. However, you asked 600.")


def text(content: str, kind: str = "text/plain", code: int = 200) -> Answer:
    async def answer(request: web.Request, good: Any) -> web.StreamResponse:
        return web.Response(text=content, content_type=kind, status=code)

    return answer


def html() -> Answer:
    return text("<!DOCTYPE html><html><body>Welcome to nginx!</body></html>", "text/html")


def changed(change: Callable[[Any], Any]) -> Answer:
    """The good answer, changed in place by ``change``."""

    async def answer(request: web.Request, good: Any) -> web.StreamResponse:
        change(good)
        return web.json_response(good)

    return answer


def hang(seconds: float = 60.0) -> Answer:
    async def answer(request: web.Request, good: Any) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return web.json_response(good)

    return answer


def reset_mid_body() -> Answer:
    async def answer(request: web.Request, good: Any) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"model": "policy", "choi')
        assert request.transport is not None
        request.transport.abort()
        return response

    return answer


# Running it


def running(server: Server | None = None) -> AbstractAsyncContextManager[Server]:
    """The server on a free port of this event loop."""
    return served(server or Server())


def running_beside(server: Server | None = None) -> AbstractContextManager[Server]:
    """The server in a thread of its own, for clients that are other processes."""
    return served_beside(server or Server())
