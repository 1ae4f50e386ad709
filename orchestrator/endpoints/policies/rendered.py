"""Continuation on servers whose chat template trims the open message, as Llama 3's does.

Without the separator that ends its last step, the model begins by writing that separator, and the
stop string ends the sample before the next step: nothing but dead ends comes of a search. Where the
server renders a conversation to token ids (``/tokenize``, as vLLM's), what the template trimmed is
put back behind them, and ``/v1/completions`` goes on from there.
"""

from dataclasses import dataclass, field

from orchestrator.core.node import Node
from orchestrator.core.ports import Sampling
from orchestrator.endpoints.http.wire import (
    CompletionRequest,
    CompletionResponse,
    TokenizeChatRequest,
    TokenizeRequest,
    TokenizeResponse,
)
from orchestrator.endpoints.policies.http_policy import COMPLETIONS, ChatPolicy
from orchestrator.endpoints.transport.transport import Transport
from orchestrator.errors import BadResponse
from orchestrator.formats.chat import Messages

_BEFORE = "6"
"""A text that no tokenizer joins with the white space after it."""


async def render(transport: Transport, messages: Messages, node: Node | None = None) -> list[int]:
    """The token ids of a conversation whose last message stays open, without white space at its
    end. Raises ``EndpointError``."""
    *before, last = messages
    messages = [*before, {**last, "content": last["content"].rstrip()}]
    request = TokenizeChatRequest(model=transport.endpoint.model, messages=messages)
    return (await transport.post("/tokenize", request, TokenizeResponse, node=node)).tokens


async def tokens_after_text(transport: Transport, tail: str) -> list[int]:
    """The token ids of the white space ``tail`` where it follows a text, without those that some
    tokenizers put in front of every text. Raises ``EndpointError``."""
    alone, together = [await _tokenize(transport, text) for text in (_BEFORE, _BEFORE + tail)]
    if together[: len(alone)] != alone or len(together) == len(alone):
        raise BadResponse(f"{transport.endpoint.name} tokenises {tail!r} into no tokens", url="")
    return together[len(alone) :]


async def _tokenize(transport: Transport, text: str) -> list[int]:
    request = TokenizeRequest(model=transport.endpoint.model, prompt=text, add_special_tokens=False)
    return (await transport.post("/tokenize", request, TokenizeResponse)).tokens


@dataclass(slots=True)
class RenderedPolicy(ChatPolicy):
    """Goes on from the rendered conversation with what was trimmed put back."""

    _tails: dict[str, list[int]] = field(default_factory=dict)

    async def _ask(self, node: Node, n: int, sampling: Sampling, most: int | None) -> list[Node]:
        text = node.text
        tail = text[len(text.rstrip()) :]
        if not tail:
            return await ChatPolicy._ask(self, node, n, sampling, most)
        if tail not in self._tails:
            self._tails[tail] = await tokens_after_text(self.transport, tail)
        messages = [*self._conversation(node), {"role": "assistant", "content": text}]
        ids = await render(self.transport, messages, node)
        completion = CompletionRequest(
            prompt=[*ids, *self._tails[tail]],
            logprobs=0 if sampling.logprobs else None,
            **self._sampled_by(node, n, sampling, most),
        )
        return await self._send(
            COMPLETIONS, completion, CompletionResponse, node, n, sampling, lambda *_: None
        )
