"""PRMs behind ``/pooling``: all siblings in one request, one row of probabilities a step."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar

from orchestrator.core.fanout import fan_out
from orchestrator.core.tree import Node
from orchestrator.endpoints.transport import Transport
from orchestrator.endpoints.wire import PoolingRequest, PoolingResponse
from orchestrator.errors import BadResponse, ContextOverflow


@dataclass(slots=True, kw_only=True)
class PoolingPRM(ABC):
    """One PRM family: how it reads a solution, and which probability is a step's score.

    ``running_minimum`` reports each step as the lowest score so far. It belongs to PRMs whose
    labels judge a step by itself rather than the solution up to it, and makes PRM-Last the value
    of the whole path, as it is for the others.
    """

    column: ClassVar[int]
    """Which of the two probabilities of a row says that the step is right."""

    transport: Transport
    running_minimum: bool = False

    @abstractmethod
    def render(self, question: str, steps: Sequence[str]) -> str:
        """The text the PRM reads: a tag after every step."""

    async def score(self, nodes: Sequence[Node]) -> list[Node]:
        """Score every step of every node, in one request.

        A node without steps comes back as it is; one too long for the PRM comes back finished as
        "overflow". Raises ``BadResponse`` where the rows are not one a step, or not probabilities.
        """
        wanted = [node for node in nodes if node.steps]
        scored = iter(await self._request(wanted) if wanted else [])
        return [next(scored) if node.steps else node for node in nodes]

    async def _request(self, nodes: Sequence[Node]) -> list[Node]:
        request = PoolingRequest(
            model=self.transport.endpoint.model,
            input=[self.render(node.question, node.steps) for node in nodes],
        )
        try:
            answer = await self.transport.post(
                "/pooling", request, PoolingResponse, affinity=nodes[0].question
            )
        except ContextOverflow:
            if len(nodes) == 1:
                return [nodes[0].ended("overflow")]
            alone = await fan_out(self._request([node]) for node in nodes)
            return [node for (node,) in alone]
        rows = {item.index: item.data for item in answer.data}
        share, rest = divmod(answer.usage.prompt_tokens, len(nodes))
        return [
            node.scored(self._scores(rows.get(i, []), len(node.steps)), share + (i < rest))
            for i, node in enumerate(nodes)
        ]

    def _scores(self, rows: list[list[float]], steps: int) -> list[float]:
        url = self.transport.endpoint.urls[0]
        if len(rows) != steps:
            raise BadResponse(
                f"{url} scored {len(rows)} steps of {steps}: is {type(self).__name__} the family "
                "of this PRM, and the server's step_tag_id that of its tag?",
                url=url,
            )
        if not all(len(row) == 2 and 0.0 <= row[self.column] <= 1.0 for row in rows):
            raise BadResponse(f"{url} answers scores that are not pairs of probabilities", url=url)
        scores = [row[self.column] for row in rows]
        return list(accumulate(scores, min)) if self.running_minimum else scores
