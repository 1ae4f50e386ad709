"""A stand-in for OpenAI's API and Azure's, as strict as they are.

It refuses parameters it does not know, and those its model does not take, with the errors the real
one gives; it counts tokens, thinks where its model does, and tells its rate limits in headers.
Solutions take ``DEPTH`` steps, ``level`` of them known from what the request quotes.
"""

import asyncio
import hashlib
import json
import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.integration.serving import served, served_beside

DEPTH = 3
KNOWN = {
    "model", "messages", "n", "max_tokens", "max_completion_tokens", "temperature", "top_p",
    "seed", "stop", "logprobs", "top_logprobs",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """``answers_as`` is the dated name its answers bear; ``refuses`` what it does not take."""

    answers_as: str
    refuses: frozenset[str] = frozenset()
    longest: int = 16_384
    thinks: int = 0


REASONING = frozenset({"max_tokens", "temperature", "top_p", "stop", "n", "logprobs"})
MODELS = {
    "gpt-4o": Model(answers_as="gpt-4o-2024-08-06"),
    "gpt-4o-mini": Model(answers_as="gpt-4o-mini-2024-07-18"),
    "o4-mini": Model(answers_as="o4-mini-2025-04-16", refuses=REASONING, thinks=64),
}


@dataclass(slots=True)
class Call:
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: dict[str, Any]


Answer = Callable[[dict[str, Any]], web.Response | None]


@dataclass(slots=True)
class OpenAI:
    """``key`` guards it. With ``deployments`` it is an Azure, each the deployment of a model.

    ``instead`` may answer in place of a good answer, by the request's body; ``delay`` is in
    seconds; ``lists`` says whether it tells its models.
    """

    key: str = "sk-secret-0123456789"
    deployments: dict[str, str] | None = None
    instead: Answer | None = None
    delay: float = 0.0
    lists: bool = True
    calls: list[Call] = field(default_factory=list)
    url: str = ""
    paid: list[dict[str, int]] = field(default_factory=list)

    @property
    def answered(self) -> int:
        return len(self.paid)

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.json() if request.can_read_body else {}
        await asyncio.sleep(self.delay)
        self.calls.append(Call(request.path, dict(request.query), dict(request.headers), body))
        given = (
            request.headers.get("api-key", "")
            if self.deployments is not None
            else request.headers.get("Authorization", "").removeprefix("Bearer ")
        )
        if given != self.key:
            return error(401, f"Incorrect API key provided: {given}.", code="invalid_api_key")
        if self.deployments is not None:
            return self._azure(request, body)
        if request.path == "/v1/models" and self.lists:
            return web.json_response({"data": [{"id": name} for name in MODELS]})
        if request.path != "/v1/chat/completions":
            return error(404, f"Invalid URL (POST {request.path})")
        return self._chat(body, body["model"])

    def _azure(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        if not re.fullmatch(r"\d{4}-\d\d-\d\d(-preview)?", request.query.get("api-version", "")):
            return error(404, "Resource not found", code="404")
        route = re.fullmatch(r"/openai/deployments/([^/]+)/chat/completions", request.path)
        if route is None:
            return error(404, "Resource not found", code="404")
        model = (self.deployments or {}).get(route[1])
        if model is None:
            return error(
                404, "The API deployment for this resource does not exist.",
                code="DeploymentNotFound",
            )  # fmt: skip
        return self._chat(body, model)

    def _chat(self, body: dict[str, Any], name: str) -> web.Response:
        if name not in MODELS:
            said = f"The model `{name}` does not exist or you do not have access to it."
            return error(404, said, code="model_not_found")
        if (wrong := _refusal(body, MODELS[name])) is not None:
            return wrong
        if self.instead is not None and (answer := self.instead(body)) is not None:
            return answer
        good = completion(body, MODELS[name])
        self.paid.append(good["usage"])
        return web.json_response(good, headers=limits(500 - len(self.paid)))


def limits(remaining: int) -> dict[str, str]:
    return {
        "x-ratelimit-limit-requests": "500",
        "x-ratelimit-remaining-requests": str(remaining),
        "x-ratelimit-reset-requests": "120ms",
        "x-ratelimit-limit-tokens": "30000",
        "x-ratelimit-remaining-tokens": str(remaining * 60),
        "x-ratelimit-reset-tokens": "6m0s",
        "x-request-id": "req_1",
    }


def error(
    status: int,
    message: str,
    *,
    code: str | None = None,
    param: str | None = None,
    kind: str = "invalid_request_error",
    headers: dict[str, str] | None = None,
) -> web.Response:
    detail = {"message": message, "type": kind, "param": param, "code": code}
    return web.json_response({"error": detail}, status=status, headers=headers)


def _refusal(body: dict[str, Any], model: Model) -> web.Response | None:
    if unknown := sorted(body.keys() - KNOWN):
        return error(400, f"Unrecognized request argument supplied: {unknown[0]}")
    for name in body:
        if name in model.refuses and name == "max_tokens":
            return error(
                400, "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
                "'max_completion_tokens' instead.", code="unsupported_parameter", param=name,
            )  # fmt: skip
        if name in model.refuses and name == "temperature":
            return error(
                400, f"Unsupported value: 'temperature' does not support {body[name]} with this "
                "model. Only the default (1) value is supported.",
                code="unsupported_value", param=name,
            )  # fmt: skip
        if name in model.refuses:
            said = f"Unsupported parameter: '{name}' is not supported with this model."
            return error(400, said, code="unsupported_parameter", param=name)
    if "max_tokens" in body and "max_completion_tokens" in body:
        return error(400, "Setting 'max_tokens' and 'max_completion_tokens' is not supported.")
    if (most := body.get("max_tokens", body.get("max_completion_tokens", 1))) > model.longest:
        return error(
            400, f"max_tokens is too large: {most}. This model supports at most {model.longest} "
            f"completion tokens, whereas you provided {most}.",
            code="invalid_value", param="max_tokens",
        )  # fmt: skip
    return None


def digest(*keys: object) -> int:
    text = "/".join(map(str, keys))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=6).digest(), "big")


def completion(body: dict[str, Any], model: Model) -> dict[str, Any]:
    """Texts that follow from the request and the sample's number alone."""
    asked = json.dumps(body["messages"])
    level = asked.count("Step ")
    one_step = "nothing else" in asked
    choices = []
    for index in range(body.get("n", 1)):
        mark = digest(asked, body.get("seed"), index)
        texts = [
            f"Step {step} of {mark}."
            if step < DEPTH
            else f"Step {step}: the answer is $\\boxed{{{mark % 3}}}$."
            for step in range(level + 1, max(level + 1, DEPTH) + 1)
        ]
        text = texts[0] if one_step and "stop" not in model.refuses else "\n\n".join(texts)
        choices.append(
            {
                "index": index, "finish_reason": "stop",
                "message": {"role": "assistant", "content": text, "refusal": None},
                "logprobs": {"content": []} if body.get("logprobs") else None,
            }
        )  # fmt: skip
    words = sum(len(choice["message"]["content"].split()) for choice in choices)
    prompt = len(asked.split())
    return {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 0, "model": model.answers_as,
        "choices": choices,
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": words + model.thinks,
            "total_tokens": prompt + words + model.thinks,
            "prompt_tokens_details": {"cached_tokens": prompt // 2},
            "completion_tokens_details": {"reasoning_tokens": model.thinks},
        },
    }  # fmt: skip


def running(server: OpenAI | None = None) -> AbstractAsyncContextManager[OpenAI]:
    """The server on a free port of this event loop."""
    return served(server or OpenAI())


def running_beside(server: OpenAI | None = None) -> AbstractContextManager[OpenAI]:
    """The server in a thread of its own, for clients that are other processes."""
    return served_beside(server or OpenAI())
