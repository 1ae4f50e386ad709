"""Outcome reward models: one score for the whole answer so far."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.core.fanout import fan_out
from orchestrator.core.node import Node
from orchestrator.endpoints.http.wire import PoolingChatRequest, PoolingResponse
from orchestrator.endpoints.prm.base import (
    HttpPRM,
    Reading,
    ReadingOrError,
    apart,
    naming_nan,
    probability,
)
from orchestrator.endpoints.prm.coalescing import PoolingResult
from orchestrator.endpoints.prm.pooling import ask_each
from orchestrator.errors import BadResponse, ConfigError

FIELDS = ("{question}", "{answer}")


@dataclass(slots=True, kw_only=True)
class OutcomePRM(HttpPRM):
    """A sequence classifier of one label; every step carries the sigmoid of the latest score.

    Question and answer are a chat by the server's own template, one request a solution; or a text
    by ``template``, which holds ``{question}`` and ``{answer}``, and siblings share a request.
    Served by vLLM with ``--runner pooling``.
    """

    template: str | None = None

    def __post_init__(self) -> None:
        missing = [field for field in FIELDS if self.template and field not in self.template]
        if missing:
            raise ConfigError(f"template must hold {missing[0]}")

    async def read(self, nodes: Sequence[Node]) -> Sequence[ReadingOrError]:
        if self.template is None:
            return await fan_out(apart(self._read_chat(node)) for node in nodes)
        texts = [_filled(self.template, node.question, node.text) for node in nodes]
        return await ask_each(
            self.pooling,
            nodes,
            texts,
            lambda number, pooled, url: _reading(nodes[number], pooled, url),
        )

    async def _read_chat(self, node: Node) -> Reading:
        messages = [
            {"role": "user", "content": node.question},
            {"role": "assistant", "content": node.text},
        ]
        request = PoolingChatRequest(model=self.transport.endpoint.model, messages=messages)

        def read(answer: PoolingResponse, url: str) -> Reading:
            rows, used = answer.data[0].data if answer.data else [], answer.usage
            pooled = PoolingResult(
                rows=rows, tokens=used.prompt_tokens, cached_tokens=used.cached_tokens
            )
            return _reading(node, pooled, url)

        with naming_nan(self.url):
            return await self.transport.post("/pooling", request, PoolingResponse, read, node=node)


def _reading(node: Node, pooled: PoolingResult, url: str) -> Reading:
    match pooled.rows:
        case [float() | None as score]:
            scores = [probability(score, url)] * len(node.steps)
        case other:
            raise BadResponse(
                f"{url} answers {len(other)} values where an outcome reward model has one: serve a "
                "sequence classifier of one label, with the pooling task classify",
                url=url,
            )
    return Reading(scores=scores, tokens=pooled.tokens, cached_tokens=pooled.cached_tokens)


def _filled(template: str, question: str, answer: str) -> str:
    values = {"question": question, "answer": answer}
    return re.sub(r"\{(question|answer)\}", lambda field: values[field[1]], template)
