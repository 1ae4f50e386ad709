"""The product's way to a score: its PRM families over HTTP."""

import json
from collections.abc import Sequence
from typing import Any

from orchestrator.core.node import Node, root
from orchestrator.endpoints.http.sender import AiohttpSender, HttpResponse
from orchestrator.endpoints.prm import HttpPRM, prms_by_route
from orchestrator.endpoints.probing.probe import probe_prm
from orchestrator.endpoints.transport.transport import Endpoint, Transport
from tests.vllm.services import API_KEY
from tests.vllm.solutions import Solution


def endpoint(url: str, model: str) -> Endpoint:
    return Endpoint(urls=(url,), model=model, api_key=API_KEY)


class Recording(AiohttpSender):
    """Remembers what was asked and answered."""

    def __init__(self, base: str, api_key: str | None) -> None:
        super().__init__(api_key=api_key)
        self.base = base
        self.exchanges: list[dict[str, Any]] = []

    async def send(self, method: str, url: str, body: bytes | None) -> HttpResponse:
        answer = await super().send(method, url, body)
        if url.startswith(f"{self.base}/metrics"):
            return answer
        self.exchanges.append(
            {
                "path": url.removeprefix(self.base),
                "request": json.loads(body) if body else None,
                "answer": json.loads(answer.content),
            }
        )
        return answer


class Recorded(Transport):
    """A transport that remembers its exchanges."""

    def __init__(self, endpoint: Endpoint) -> None:
        (base,) = endpoint.bases
        self.recording = Recording(base, endpoint.api_key)
        super().__init__(endpoint, self.recording)

    @property
    def exchanges(self) -> list[dict[str, Any]]:
        return self.recording.exchanges


def whole(solution: Solution, index: int = 0) -> Node:
    """The node of a finished solution, none of whose steps is scored."""
    start = root(solution.question, seed=1, problem_id=solution.name)
    return start.child(index, solution.steps, finish="stop")


async def prm_at(transport: Transport, family: str, **options: Any) -> HttpPRM:
    """The PRM by the route that its server has, where the options leave more than one open."""
    prms = prms_by_route(family, transport, **options)
    if len(prms) == 1:
        return next(iter(prms.values()))
    return prms[(await probe_prm(transport, prms)).scored_by]


async def score_whole(
    transport: Transport, family: str, solutions: Sequence[Solution], **options: Any
) -> list[Node]:
    """All steps of all solutions, in one call."""
    prm = await prm_at(transport, family, **options)
    return await prm.score([whole(solution, i) for i, solution in enumerate(solutions)])


async def score_stepwise(
    transport: Transport, family: str, solution: Solution, **options: Any
) -> list[Node]:
    """As a search does it: every step when it is taken, after those before it were scored."""
    prm = await prm_at(transport, family, **options)
    node = root(solution.question, seed=1, problem_id=solution.name)
    path = []
    for step in solution.steps:
        (node,) = await prm.score([node.child(0, (step,))])
        path.append(node)
    return path
