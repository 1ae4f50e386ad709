"""What every PRM over HTTP has in common: siblings together, failures named, tokens counted."""

import math
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import ClassVar, Literal, TypeAlias, TypeVar

from orchestrator.core.fanout import fan_out
from orchestrator.core.node import Finish, Node
from orchestrator.endpoints.prm.coalescing import Coalescer
from orchestrator.endpoints.transport.transport import Transport
from orchestrator.errors import (
    BadResponse,
    ContentFiltered,
    ContextOverflow,
    EndpointError,
    EndpointRefused,
    PromptRefused,
)

T = TypeVar("T")

ScoringRoute = Literal["pooling", "prefix", "chat"]
"""What scores are asked of: ``/pooling``, the next token after a prefix, or chat."""

UNSCORABLE = 0.0
"""The score of a step that cannot be scored, and of those after it (as in the authors' code)."""

_ENDS: dict[type[EndpointError], Finish] = {
    ContextOverflow: "overflow",
    ContentFiltered: "filtered",
    PromptRefused: "refused",
}
"""What ends one branch, and how it ends there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A PRM's scores for a solution's last steps, in 0..1, and the tokens it took to get them,
    of which so many were in a prefix cache and so many written. ``model`` gave them, where that is
    another than the one asked for.

    Steps before those keep the scores they have.
    """

    scores: Sequence[float]
    tokens: int = 0
    cached_tokens: int = 0
    written_tokens: int = 0
    model: str | None = None


ReadingOrError: TypeAlias = Reading | EndpointError
"""What comes of one of several siblings: its scores, or what is wrong with it alone."""


async def apart(answer: Awaitable[T]) -> T | EndpointError:
    """An answer about one sibling, or what is wrong with that one. Raises what concerns others."""
    try:
        return await answer
    except (BadResponse, ContentFiltered, ContextOverflow, PromptRefused) as error:
        return error


@dataclass(slots=True, kw_only=True)
class HttpPRM(ABC):
    """One PRM family behind one endpoint.

    A PRM judges one solution of one problem, as it was trained to: of a conversation of several
    turns it is shown the question and the last solution, and nothing that was said between them.

    ``running_minimum`` reports each step as the lowest score so far. It belongs to PRMs whose
    labels judge a step by itself rather than the solution up to it, and makes PRM-Last the value
    of the whole path, as it is for the others.
    """

    routes: ClassVar[tuple[ScoringRoute, ...]] = ("pooling",)
    """The routes by which this family can be scored, in the order that a probe tries them."""

    transport: Transport
    running_minimum: bool = False
    _pooling: Coalescer[list[ReadingOrError]] | None = field(
        default=None, init=False, repr=False, compare=False
    )

    async def score(self, nodes: Sequence[Node]) -> list[Node]:
        """The port's ``score``: siblings share a request wherever the route takes several.

        A node without steps comes back as it is; one that is too long for the PRM, that a filter
        stops or that its server refuses, while it takes others, comes back finished as "overflow",
        "filtered" or "refused". A step that cannot be scored while a sibling can scores 0.0, and so
        does every step after it. Raises ``BadResponse`` where no node has one score a step, or they
        are no probabilities, and other ``EndpointError``.
        """
        shown = [self._before_unscorable(node) for node in nodes]
        asked = [at for at, node in enumerate(shown) if _is_to_be_asked(node, of=nodes[at])]
        scored = await self._scored([shown[at] for at in asked]) if asked else []
        for at, node in zip(asked, scored, strict=True):
            shown[at] = node
        return [_whole(node, of=each) for node, each in zip(shown, nodes, strict=True)]

    def unscorable(self, steps: Sequence[str]) -> int | None:
        """The number of the first step that this family cannot tell from the end of another."""
        return None

    def _before_unscorable(self, node: Node) -> Node:
        """``node``, or the one on its path before the first step that cannot be scored."""
        at = self.unscorable(node.steps)
        return node if at is None else replace(node, steps=node.steps[:at], scores=node.scores[:at])

    @abstractmethod
    async def read(self, nodes: Sequence[Node]) -> Sequence[ReadingOrError]:
        """Read the solutions of ``nodes``, all of which have steps. Raises ``EndpointError`` where
        nothing can be read of any of them."""

    async def _scored(self, nodes: Sequence[Node]) -> list[Node]:
        outcomes = await self._outcomes(nodes)
        bad = [outcome for outcome in outcomes if isinstance(outcome, BadResponse)]
        if bad and not any(isinstance(outcome, Reading) for outcome in outcomes):
            raise bad[0]
        return [
            self._with_scores(node, outcome)
            if isinstance(outcome, Reading)
            else _unscored(node)
            if isinstance(outcome, BadResponse)
            else node.ended(_ENDS[type(outcome)])
            for node, outcome in zip(nodes, outcomes, strict=True)
        ]

    async def _outcomes(self, nodes: Sequence[Node]) -> Sequence[ReadingOrError]:
        """What comes of each of ``nodes``, asked alone where a request for all is refused."""
        try:
            return await self.read(nodes)
        except tuple(_ENDS) as error:
            if len(nodes) == 1:
                return [error]
        alone = await fan_out(self._outcomes([node]) for node in nodes)
        return [outcome for (outcome,) in alone]

    def _with_scores(self, node: Node, reading: Reading) -> Node:
        known = node.scores[: len(node.steps) - len(reading.scores)]
        # Known scores are minima already: the minimum of both is that of all steps.
        scores = (*known, *reading.scores)
        return node.scored(
            tuple(accumulate(scores, min)) if self.running_minimum else scores,
            reading.tokens,
            reading.cached_tokens,
            reading.written_tokens,
            reading.model,
        )

    @property
    def pooling(self) -> Coalescer[list[ReadingOrError]]:
        """The way to ``/pooling``, which all calls of this PRM share."""
        if self._pooling is None:
            self._pooling = Coalescer(self.transport)
        return self._pooling

    @property
    def url(self) -> str:
        return self.transport.endpoint.urls[0]


def _is_to_be_asked(shown: Node, of: Node) -> bool:
    """Whether the PRM has anything to say of the part that it is shown ``of`` a node."""
    return bool(shown.steps) and (shown is of or len(shown.scores) < len(shown.steps))


def _whole(shown: Node, of: Node) -> Node:
    """The node again of which a part was shown."""
    return shown if len(shown.steps) == len(of.steps) else _unscored(replace(shown, steps=of.steps))


def _unscored(node: Node) -> Node:
    """``node`` where the steps without a score cannot be scored."""
    missing = len(node.steps) - len(node.scores)
    return replace(node, scores=(*node.scores, *[UNSCORABLE] * missing), unscored=True)


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
