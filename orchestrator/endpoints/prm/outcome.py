"""Outcome reward models: one score for the whole answer so far."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.core.fanout import fan_out
from orchestrator.core.tree import Node
from orchestrator.endpoints.prm.base import HttpPRM, Reading, naming_nan, probability, shares
from orchestrator.endpoints.wire import PoolingChatRequest, PoolingRequest, PoolingResponse
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

    async def _read(self, nodes: Sequence[Node]) -> list[Reading]:
        if self.template is None:
            return await fan_out(self._read_chat(node) for node in nodes)
        texts = [_filled(self.template, node.question, node.text) for node in nodes]
        request = PoolingRequest(model=self.transport.endpoint.model, input=texts)
        return self._readings(await self._post(request, nodes[0]), nodes)

    async def _read_chat(self, node: Node) -> Reading:
        messages = [
            {"role": "user", "content": node.question},
            {"role": "assistant", "content": node.text},
        ]
        request = PoolingChatRequest(model=self.transport.endpoint.model, messages=messages)
        (reading,) = self._readings(await self._post(request, node), [node])
        return reading

    async def _post(
        self, request: PoolingRequest | PoolingChatRequest, node: Node
    ) -> PoolingResponse:
        with naming_nan(self.url):
            return await self.transport.post("/pooling", request, PoolingResponse, node=node)

    def _readings(self, answer: PoolingResponse, nodes: Sequence[Node]) -> list[Reading]:
        found = {item.index: item.data for item in answer.data}
        readings = []
        for i, (node, part) in enumerate(zip(nodes, shares(answer.usage, len(nodes)), strict=True)):
            match found.get(i):
                case [float() | None as score]:
                    scores = [probability(score, self.url)] * len(node.steps)
                case other:
                    raise BadResponse(
                        f"{self.url} answers {len(other or [])} values where an outcome reward "
                        "model has one: serve a sequence classifier of one label, with the pooling "
                        "task classify",
                        url=self.url,
                    )
            readings.append(Reading(scores=scores, tokens=part[0], cached_tokens=part[1]))
        return readings


def _filled(template: str, question: str, answer: str) -> str:
    values = {"question": question, "answer": answer}
    return re.sub(r"\{(question|answer)\}", lambda field: values[field[1]], template)
