"""PRMs that say "+" or "-" after each step, and the choice between the two routes to a verdict."""

import asyncio
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, TypeAlias, get_args

from orchestrator.core.fanout import fan_out
from orchestrator.core.node import Node, root
from orchestrator.endpoints.prm.base import HttpPRM, Outcome
from orchestrator.endpoints.prm.prefix import PrefixRoute
from orchestrator.endpoints.prm.tokens import Tokenizer
from orchestrator.errors import ConfigError, EndpointError, EndpointRefused

Route: TypeAlias = Literal["auto", "pooling", "prefix"]

LABELS = ("+", "-")


@dataclass(slots=True, kw_only=True)
class VerdictPRM(HttpPRM):
    """A causal language model whose next token after a step is its verdict.

    ``route`` "pooling" asks a server started with ``--runner pooling`` for all steps at once,
    "prefix" an ordinary generating server for the steps that have no score yet; "auto" finds out
    which of the two the server has, once. For searches step by step the generating server is the
    better one, because only that route reads the prefix cache: in beam searches of twelve steps
    (N = 16, M = 4, vLLM 0.32) it computed 16 % of the tokens.
    """

    add_special_tokens: ClassVar[bool]
    """Whether the tokenizer is to add its beginning of a text, or the rendered text holds it."""

    route: Route = "auto"
    _chosen: Route | None = field(init=False, default=None, repr=False)
    _prefix_route: PrefixRoute | None = field(init=False, default=None, repr=False)
    _lock: asyncio.Lock = field(init=False, default_factory=asyncio.Lock, repr=False)
    _tokenizer: Tokenizer = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.route not in get_args(Route):
            raise ConfigError(f"route must be auto, pooling or prefix, not {self.route!r}")
        self._chosen = None if self.route == "auto" else self.route
        self._tokenizer = Tokenizer(self.transport)

    @property
    def scored_by(self) -> str:
        return self._chosen or "auto"

    @abstractmethod
    def prefix(self, question: str, steps: Sequence[str]) -> str:
        """The text up to where the verdict on the last of ``steps`` is predicted."""

    @abstractmethod
    async def _pooled(self, nodes: Sequence[Node]) -> Sequence[Outcome]:
        """All steps by the pooling route."""

    async def _prefixed(self, nodes: Sequence[Node]) -> Sequence[Outcome]:
        """The steps without a score by the prefix route."""
        if self._prefix_route is None:
            # By itself a label takes the form it has after a space in a sentencepiece vocabulary,
            # which is the form these PRMs were trained to say.
            labels = await fan_out(self._tokenizer.only_id(label) for label in LABELS)
            self._prefix_route = PrefixRoute(
                transport=self.transport,
                labels=(labels[0], labels[1]),
                add_special_tokens=self.add_special_tokens,
            )
        prefixes = [
            [
                self.prefix(node.question, node.steps[: i + 1])
                for i in range(len(node.scores), len(node.steps))
            ]
            for node in nodes
        ]
        return await self._prefix_route.read(nodes, prefixes)

    async def _read(self, nodes: Sequence[Node]) -> Sequence[Outcome]:
        if self._chosen is None:
            async with self._lock:
                self._chosen = self._chosen or await self._find_route()
        if self._chosen == "pooling":
            return await self._pooled(nodes)
        return await self._prefixed(nodes)

    async def _find_route(self) -> Route:
        """Raises ``EndpointRefused`` where the server has neither route."""
        sample = [root("What is 1 + 1?", seed=0, problem_id="route").child(0, ("1 + 1 = 2.",))]
        try:
            await self._pooled(sample)
            return "pooling"
        except EndpointRefused as refused:
            first = refused
        try:
            (outcome,) = await self._prefixed(sample)
        except EndpointRefused as second:
            raise EndpointRefused(
                f"{self.url} scores by neither route; pooling: {first}; prefix: {second}",
                url=self.url,
            ) from second
        if isinstance(outcome, EndpointError):
            raise outcome
        return "prefix"
