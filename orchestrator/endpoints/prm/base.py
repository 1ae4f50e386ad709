"""What every PRM over HTTP has in common: siblings together, failures named, tokens counted."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate

from orchestrator.core.fanout import fan_out
from orchestrator.core.tree import Finish, Node
from orchestrator.endpoints.prm.coalescing import Coalescer
from orchestrator.endpoints.transport import Transport
from orchestrator.errors import (
    BadResponse,
    ContentFiltered,
    ContextOverflow,
    EndpointError,
    EndpointRefused,
    PromptRefused,
)

_ENDS: dict[type[EndpointError], Finish] = {
    ContextOverflow: "overflow",
    ContentFiltered: "filtered",
    PromptRefused: "refused",
}
"""What ends one branch, and how it ends there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A PRM's scores for a solution's last steps, in 0..1, and the tokens it took to get them,
    of which so many were in a prefix cache and so many written.

    Steps before those keep the scores they have.
    """

    scores: Sequence[float]
    tokens: int = 0
    cached_tokens: int = 0
    written_tokens: int = 0


@dataclass(slots=True, kw_only=True)
class HttpPRM(ABC):
    """One PRM family behind one endpoint.

    ``running_minimum`` reports each step as the lowest score so far. It belongs to PRMs whose
    labels judge a step by itself rather than the solution up to it, and makes PRM-Last the value
    of the whole path, as it is for the others.
    """

    transport: Transport
    running_minimum: bool = False
    _pooling: Coalescer[list[Reading]] | None = field(
        default=None, init=False, repr=False, compare=False
    )

    async def score(self, nodes: Sequence[Node]) -> list[Node]:
        """The port's ``score``: siblings share a request wherever the route takes several.

        A node without steps comes back as it is; one that is too long for the PRM, that a filter
        stops or that its server refuses, while it takes others, comes back finished as "overflow",
        "filtered" or "refused". Raises ``BadResponse`` where the scores are not one a step, or not
        probabilities, and other ``EndpointError``.
        """
        wanted = [node for node in nodes if node.steps]
        scored = iter(await self._scored(wanted) if wanted else [])
        return [next(scored) if node.steps else node for node in nodes]

    @abstractmethod
    async def _read(self, nodes: Sequence[Node]) -> list[Reading]:
        """Read the solutions of ``nodes``, all of which have steps. Raises ``EndpointError``."""

    async def _scored(self, nodes: Sequence[Node]) -> list[Node]:
        try:
            readings = await self._read(nodes)
        except tuple(_ENDS) as refused:
            if len(nodes) == 1:
                return [nodes[0].ended(_ENDS[type(refused)])]
            alone = await fan_out(self._scored([node]) for node in nodes)
            return [node for (node,) in alone]
        return [
            self._with_scores(node, reading) for node, reading in zip(nodes, readings, strict=True)
        ]

    def _with_scores(self, node: Node, reading: Reading) -> Node:
        known = node.scores[: len(node.steps) - len(reading.scores)]
        # Known scores are minima already: the minimum of both is that of all steps.
        scores = (*known, *reading.scores)
        return node.scored(
            tuple(accumulate(scores, min)) if self.running_minimum else scores,
            reading.tokens,
            reading.cached_tokens,
            reading.written_tokens,
        )

    @property
    def scored_by(self) -> str:
        """What the scores are asked of: "pooling", "prefix" completions or "chat"; known once
        something has been scored."""
        return "pooling"

    @property
    def pooling(self) -> Coalescer[list[Reading]]:
        """The way to ``/pooling``, which all calls of this PRM share."""
        if self._pooling is None:
            self._pooling = Coalescer(self.transport)
        return self._pooling

    @property
    def url(self) -> str:
        return self.transport.endpoint.urls[0]


@contextmanager
def naming_nan(url: str) -> Iterator[None]:
    """Raises ``BadResponse`` where a server refuses a request because a score of it is NaN.

    JSON cannot hold NaN: vLLM answers 400 then, or null where it encodes with orjson.
    """
    try:
        yield
    except (EndpointRefused, PromptRefused) as error:
        if "not JSON compliant" in str(error):
            raise _no_number(url) from error
        raise


def probability(value: float | None, url: str) -> float:
    """``value``, which has to be a number in 0..1. Raises ``BadResponse``."""
    if value is None or math.isnan(value):
        raise _no_number(url)
    if not 0.0 <= value <= 1.0:
        raise BadResponse(
            f"{url} answers {value:g} for a score, which is no probability: is the PRM's family "
            "right, and does its server apply the activation?",
            url=url,
        )
    return value


def _no_number(url: str) -> BadResponse:
    return BadResponse(
        f"{url} computes no number (NaN) for a score: the PRM's weights or dtype are broken; serve "
        "it with --dtype bfloat16 or float32",
        url=url,
    )
