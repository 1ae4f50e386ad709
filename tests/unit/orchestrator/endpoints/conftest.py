"""A transport with scripted answers in place of the network; all else of it is real."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from orchestrator.endpoints.http.retry import RetryPolicy
from orchestrator.endpoints.http.sender import HttpResponse
from orchestrator.endpoints.transport.transport import Endpoint, Transport

AT_ONCE = RetryPolicy(attempts=3, first_wait=0.0, longest_wait=0.0)


@dataclass(frozen=True)
class Sent:
    method: str
    url: str
    body: Any = field(default=None)


class Script:
    """Answers each request with the next of ``answers``: JSON, bytes, an answer or an error."""

    def __init__(self, answers: tuple[Any, ...]) -> None:
        self.answers = list(answers)
        self.sent: list[Sent] = []

    async def __aenter__(self) -> "Script":
        return self

    async def __aexit__(self, *exception: object) -> None:
        pass

    async def send(self, method: str, url: str, body: bytes | None) -> HttpResponse:
        self.sent.append(Sent(method, url, json.loads(body) if body else None))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, HttpResponse):
            return answer
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        return HttpResponse(status=200, content=content)


class Scripted(Transport):
    """A transport whose sender has a script."""

    def __init__(self, answers: tuple[Any, ...], **endpoint: Any) -> None:
        defaults = {"urls": ("http://host/v1",), "model": "m", "retry": AT_ONCE}
        self.script = Script(answers)
        super().__init__(Endpoint(**defaults | endpoint), self.script)

    @property
    def sent(self) -> list[Sent]:
        return self.script.sent

    @property
    def answers(self) -> list[Any]:
        return self.script.answers


@pytest.fixture
def scripted() -> Callable[..., Scripted]:
    def make(*answers: Any, **endpoint: Any) -> Scripted:
        return Scripted(answers, **endpoint)

    return make


@pytest.fixture
def scripted_once() -> Callable[..., Scripted]:
    """One that tries nothing again."""

    def make(*answers: Any, **endpoint: Any) -> Scripted:
        return Scripted(answers, retry=RetryPolicy(attempts=1), **endpoint)

    return make
