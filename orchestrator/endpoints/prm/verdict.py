"""PRMs that say "+" or "-" after each step, by either of two routes to the verdict."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from orchestrator.core.node import Node
from orchestrator.endpoints.prm.base import HttpPRM, ReadingOrError, ScoringRoute
from orchestrator.endpoints.prm.prefix import PrefixRoute
from orchestrator.endpoints.prm.tokens import Tokenizer
from orchestrator.errors import ConfigError

VerdictRoute = Literal["pooling", "prefix"]

RouteSetting = Literal["auto", "pooling", "prefix"]
"""The route by a config: "auto" leaves it to the probe."""

LABELS = ("+", "-")


@dataclass(slots=True, kw_only=True)
class VerdictPRM(HttpPRM):
    """A causal language model whose next token after a step is its verdict.

    ``route`` "pooling" asks a server started with ``--runner pooling`` for all steps at once,
    "prefix" an ordinary generating server for the steps that have no score yet; a probe finds out
    which of the two a server has. For searches step by step the generating server is the better
    one, because only that route reads the prefix cache: in beam searches of twelve steps (N = 16,
    M = 4, vLLM 0.32) it computed 16 % of the tokens.
    """

    routes: ClassVar[tuple[ScoringRoute, ...]] = ("pooling", "prefix")

    add_special_tokens: ClassVar[bool]
    """Whether the tokenizer is to add its beginning of a text, or the rendered text holds it."""

    route: VerdictRoute
    _tokenizer: Tokenizer = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.route not in self.routes:
            raise ConfigError(
                "route must be pooling or prefix, or auto where a probe is to find it, not "
                f"{self.route!r}"
            )
        self._tokenizer = Tokenizer(self.transport)

    @abstractmethod
    def prefix(self, question: str, steps: Sequence[str]) -> str:
        """The text up to where the verdict on the last of ``steps`` is predicted."""

    @abstractmethod
    async def _pooled(self, nodes: Sequence[Node]) -> Sequence[ReadingOrError]:
        """All steps by the pooling route."""

    async def _prefixed(self, nodes: Sequence[Node]) -> Sequence[ReadingOrError]:
        """The steps without a score by the prefix route."""
        # By itself a label takes the form it has after a space in a sentencepiece vocabulary,
        # which is the form these PRMs were trained to say.
        right, wrong = [await self._tokenizer.only_id(label) for label in LABELS]
        route = PrefixRoute(
            transport=self.transport,
            labels=(right, wrong),
            add_special_tokens=self.add_special_tokens,
        )
        prefixes = [
            [
                self.prefix(node.question, node.steps[: i + 1])
                for i in range(len(node.scores), len(node.steps))
            ]
            for node in nodes
        ]
        return await route.read(nodes, prefixes)

    async def read(self, nodes: Sequence[Node]) -> Sequence[ReadingOrError]:
        if self.route == "pooling":
            return await self._pooled(nodes)
        return await self._prefixed(nodes)
