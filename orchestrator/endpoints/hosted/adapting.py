"""Requests to servers that refuse a parameter: they are asked again without it, and from then on.

A server of one's own takes what vLLM takes, but a proxy in front of a cloud (LiteLLM, for one) is
reached the same way and refuses what its cloud does.
"""

from typing import Any, Self

import msgspec

from orchestrator.endpoints.hosted.dialect import Dialect
from orchestrator.endpoints.hosted.negotiation import negotiate
from orchestrator.endpoints.hosted.unsupported import REFUSALS
from orchestrator.endpoints.http.sender import HttpResponse, Sender

_ADAPTED = ("/v1/chat/completions", "/v1/completions")
_NEEDS_ALL = b'"logprob_token_ids":'
"""In requests of PRMs, whose scores are log-probabilities."""


class AdaptingSender:
    """A sender that leaves out what its server refuses; ``dialect`` is what it learned."""

    def __init__(self, sender: Sender, dialect: Dialect) -> None:
        self._sender = sender
        self.dialect = dialect

    async def __aenter__(self) -> Self:
        await self._sender.__aenter__()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._sender.__aexit__(*exception)

    async def send(self, method: str, url: str, body: bytes | None) -> HttpResponse:
        if body is None or not url.endswith(_ADAPTED) or _NEEDS_ALL in body:
            return await self._sender.send(method, url, body)
        first: HttpResponse | None = None
        if self.dialect.changes_nothing:  # as a rule, and then nothing is decoded
            first = await self._sender.send(method, url, body)
            if first.status not in REFUSALS:
                return first

        asked = msgspec.json.decode(body)

        async def send(sent: dict[str, Any]) -> HttpResponse:
            nonlocal first
            answer, first = first, None
            if answer is None or sent != asked:
                answer = await self._sender.send(method, url, msgspec.json.encode(sent))
            return answer

        return await negotiate(self, asked, send, url)
