"""Policies over HTTP: from a node to its children in one request.

``TokenPolicy`` asks for the first step over chat, which renders the model's own template, and
receives the prompt's token ids with it; from then on it sends token ids to ``/v1/completions``, so
no text is tokenised twice and the server's prefix cache is hit exactly. ``ChatPolicy`` needs no
token ids: it continues an open assistant message, for servers that know ``continue_final_message``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from orchestrator.core.ports import Sampling
from orchestrator.core.tree import Finish, Node, split_steps
from orchestrator.endpoints.transport import Transport
from orchestrator.endpoints.wire import (
    ChatChoice,
    ChatRequest,
    ChatResponse,
    CompletionChoice,
    CompletionRequest,
    CompletionResponse,
    Usage,
    token_count,
    token_list,
    token_part,
)
from orchestrator.errors import BadResponse, ContentFiltered, ContextOverflow

Prompt = Callable[[str], list[dict[str, str]]]
"""From a question to the chat messages that pose it."""


@dataclass(slots=True)
class HttpPolicy(ABC):
    """A policy behind an OpenAI-compatible server. ``separator`` ends a step."""

    transport: Transport
    prompt: Prompt
    separator: str = "\n\n"

    async def extend(self, node: Node, n: int, sampling: Sampling) -> list[Node]:
        """The port's ``extend``; a context overflow comes back as one child that ended so, and so
        does a prompt that a content filter does not let through.

        vLLM refuses a ``max_tokens`` beyond the room its context has left. Such a request goes
        out again without one, which lets the server fill that room and no more.
        """
        for most in (sampling.max_tokens, None):
            try:
                return await self._ask(node, n, sampling, most)
            except ContextOverflow:
                continue
            except ContentFiltered:
                return [node.child(0, (), finish="filtered")]
        return [node.child(0, (), finish="overflow")]

    @abstractmethod
    async def _ask(self, node: Node, n: int, sampling: Sampling, most: int | None) -> list[Node]:
        """``extend`` in one request, of at most so many tokens a sample."""

    def _chat(
        self, node: Node, n: int, sampling: Sampling, most: int | None, *, token_ids: bool
    ) -> ChatRequest:
        messages = self.prompt(node.question)
        if node.steps:
            messages = [*messages, {"role": "assistant", "content": node.text}]
        return ChatRequest(
            messages=messages,
            add_generation_prompt=not node.steps,
            continue_final_message=bool(node.steps),
            return_token_ids=token_ids,
            **self._common(node, n, sampling, most),  # type: ignore[arg-type]
        )

    def _common(
        self, node: Node, n: int, sampling: Sampling, most: int | None
    ) -> dict[str, object]:
        return {
            "model": self.transport.endpoint.model,
            "n": n,
            "max_tokens": most,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": node.seed,
            "stop": [self.separator] if sampling.until == "step" else None,
            "include_stop_str_in_output": sampling.until == "step",
        }

    def _children(
        self,
        node: Node,
        n: int,
        sampling: Sampling,
        choices: Sequence[ChatChoice | CompletionChoice],
        usage: Usage,
        prompt_ids: tuple[bytes, ...] | None,
    ) -> list[Node]:
        url = self.transport.endpoint.urls[0]
        choices = sorted(choices, key=lambda choice: choice.index)
        if len(choices) != n:
            raise BadResponse(
                f"{url} returned {len(choices)} choices where {n} were asked for", url=url
            )
        if [choice.index for choice in choices] != list(range(n)):
            raise BadResponse(f"{url} did not number its {n} choices from 0 to {n - 1}", url=url)
        share, rest = divmod(usage.written_tokens, n)
        children = []
        for choice in choices:
            ids = self._part(choice.token_ids)
            if prompt_ids is not None and ids is None:
                raise self._without_token_ids()
            text = (
                choice.text
                if isinstance(choice, CompletionChoice)
                else choice.message.content or ""
            )
            if self._met(choice) == self.separator and not text.endswith(self.separator):
                text += self.separator  # named by the server, but cut off
            finish = self._finish(choice, text, sampling)
            whole = sampling.until == "end"
            children.append(
                node.child(
                    choice.index,
                    split_steps(text, self.separator) if whole else (text,),
                    finish=finish,
                    token_ids=None if prompt_ids is None or ids is None else (*prompt_ids, ids),
                    step_tokens=(
                        share + (choice.index < rest) if ids is None else token_count(ids)
                    ),
                    prompt_tokens=usage.prompt_tokens,
                    cached_tokens=usage.cached_tokens,
                )
            )
        return children

    def _part(self, listed: msgspec.Raw) -> bytes | None:
        try:
            return token_part(listed)
        except ValueError as error:
            url = self.transport.endpoint.urls[0]
            raise BadResponse(f"{url} answers {error}", url=url) from None

    def _without_token_ids(self) -> BadResponse:
        url = self.transport.endpoint.urls[0]
        return BadResponse(
            f"{url} does not return token ids: set `continuation: chat` for it", url=url
        )

    def _finish(
        self, choice: ChatChoice | CompletionChoice, text: str, sampling: Sampling
    ) -> Finish | None:
        """Paper: a path ends where its text does not end with the separator."""
        if choice.finish_reason == "length":
            return "length"
        if choice.finish_reason == "content_filter":
            return "filtered"
        if sampling.until == "end":
            return "stop"
        return None if text.endswith(self.separator) else "stop"

    def _met(self, choice: ChatChoice | CompletionChoice) -> int | str | None:
        """The stop string or token a sample ended at, where the server names it."""
        if choice.stop_reason is None and isinstance(choice, ChatChoice):
            return choice.matched_stop
        return choice.stop_reason


class TokenPolicy(HttpPolicy):
    """Continues by token ids, as vLLM and the embedded server allow."""

    async def _ask(self, node: Node, n: int, sampling: Sampling, most: int | None) -> list[Node]:
        if node.token_ids is None:
            chat = await self.transport.post(
                "/v1/chat/completions",
                self._chat(node, n, sampling, most, token_ids=True),
                ChatResponse,
                node=node,
            )
            ids = self._part(chat.prompt_token_ids)
            if ids is None:
                raise self._without_token_ids()
            return self._children(node, n, sampling, chat.choices, chat.usage, (ids,))
        completion = await self.transport.post(
            "/v1/completions",
            CompletionRequest(
                prompt=token_list(node.token_ids),
                return_token_ids=True,
                **self._common(node, n, sampling, most),  # type: ignore[arg-type]
            ),
            CompletionResponse,
            node=node,
        )
        return self._children(
            node, n, sampling, completion.choices, completion.usage, node.token_ids
        )


class ChatPolicy(HttpPolicy):
    """Continues an open assistant message."""

    async def _ask(self, node: Node, n: int, sampling: Sampling, most: int | None) -> list[Node]:
        chat = await self.transport.post(
            "/v1/chat/completions",
            self._chat(node, n, sampling, most, token_ids=False),
            ChatResponse,
            node=node,
        )
        return self._children(node, n, sampling, chat.choices, chat.usage, None)
