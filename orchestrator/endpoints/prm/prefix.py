"""The prefix route: an ordinary generating server says what token comes after each step.

A solution is read as prefixes, each ended where a step's verdict is predicted; P("+") is the
softmax of two log-probabilities. The server's prefix cache holds the path so far, so a search pays
for its new steps only.

vLLM offers this twice, on one code path: ``/v1/completions`` with ``logprob_token_ids`` and
``/generative_scoring``. Both gave the same scores to the last digit in the same time (vLLM 0.32,
CPU; 340 tokens, 4 to 64 prefixes). The first is used, because it refuses a prompt beyond the
context where the other silently scores the prompt's beginning, reports cached tokens and honours
the API key.

Each prefix is a request of its own: of a list of prompts vLLM reports the cached tokens of the last
one alone, and what a search computed could not be told. A list saved 5 to 25 % of the time for
4 to 16 siblings there, and nothing for 64.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.core.fanout import fan_out
from orchestrator.core.node import Node
from orchestrator.endpoints.http.wire import NextTokenRequest, NextTokenResponse
from orchestrator.endpoints.prm.base import Reading, ReadingOrError, apart, naming_nan, probability
from orchestrator.endpoints.transport.transport import Transport
from orchestrator.errors import BadResponse, EndpointError

LOWEST = -9999.0
"""What vLLM writes for a log-probability of minus infinity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixRoute:
    """One server's way to P(first of ``labels``) among the two, as the token after a text.

    ``add_special_tokens`` has the server put the tokenizer's beginning before each text.
    """

    transport: Transport
    labels: tuple[int, int]
    add_special_tokens: bool

    async def read(
        self, nodes: Sequence[Node], prefixes: Sequence[Sequence[str]]
    ) -> list[ReadingOrError]:
        """A score for each of the nodes' ``prefixes``, of which a later one continues an earlier.

        The longest of every node go first, side by side; where a node has several, the others
        follow and find themselves in the prefix cache: with it at once, each would be computed
        from the start. ``BadResponse`` is what comes of a node one of whose prefixes has no such
        probability. Raises ``EndpointError``.
        """
        longest = iter(await self._ask([each[-1] for each in prefixes if each], nodes[0]))
        others = iter(await self._ask([text for each in prefixes for text in each[:-1]], nodes[0]))
        return [
            _joined([*(next(others) for _ in each[:-1]), *(next(longest) for _ in each[-1:])])
            for each in prefixes
        ]

    async def _ask(self, texts: Sequence[str], node: Node) -> list[ReadingOrError]:
        return await fan_out(apart(self._ask_one(text, node)) for text in texts)

    async def _ask_one(self, text: str, node: Node) -> Reading:
        request = NextTokenRequest(
            model=self.transport.endpoint.model,
            prompt=text,
            logprob_token_ids=self.labels,
            logprobs=len(self.labels),
            add_special_tokens=self.add_special_tokens,
        )
        with naming_nan(self.transport.endpoint.urls[0]):
            return await self.transport.post(
                "/v1/completions", request, NextTokenResponse, self._reading, node=node
            )

    def _reading(self, answer: NextTokenResponse, url: str) -> Reading:
        return Reading(
            scores=[self._chance(answer, url)],
            tokens=answer.usage.prompt_tokens,
            cached_tokens=answer.usage.cached_tokens,
        )

    def _chance(self, answer: NextTokenResponse, url: str) -> float:
        found: dict[str, float | None] = {}
        for choice in answer.choices[:1]:
            for top in choice.logprobs.top_logprobs[:1] if choice.logprobs else []:
                found = top or {}
        keys = [f"token_id:{label}" for label in self.labels]
        if not found.keys() >= {*keys}:
            raise BadResponse(
                f"{url} does not report the log-probabilities it was asked for "
                "(logprob_token_ids): serve this PRM with a recent vLLM, or by the pooling route",
                url=url,
            )
        right, wrong = (found[key] for key in keys)
        if right is None or wrong is None or max(right, wrong) <= LOWEST:
            return probability(None, url)
        return probability(_softmax(right, wrong), url)


def _joined(outcomes: Sequence[ReadingOrError]) -> ReadingOrError:
    readings = []
    for outcome in outcomes:
        if isinstance(outcome, EndpointError):
            return outcome
        readings.append(outcome)
    return Reading(
        scores=[score for reading in readings for score in reading.scores],
        tokens=sum(reading.tokens for reading in readings),
        cached_tokens=sum(reading.cached_tokens for reading in readings),
    )


def _softmax(right: float, wrong: float) -> float:
    """P(right) of two log-probabilities, however far apart."""
    odds = math.exp(-abs(right - wrong))
    return (1.0 if right >= wrong else odds) / (1.0 + odds)
