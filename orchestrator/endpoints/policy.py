"""Policies over HTTP: from a node to its children in one request.

``TokenPolicy`` asks for the first step over chat, which renders the model's own template, and
receives the prompt's token ids with it; from then on it sends token ids to ``/v1/completions``, so
no text is tokenised twice and the server's prefix cache is hit exactly. ``ChatPolicy`` needs no
token ids: it continues an open assistant message, for servers that know ``continue_final_message``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

import msgspec

from orchestrator.core.ports import Sampling
from orchestrator.core.tree import Finish, Node, split_steps
from orchestrator.endpoints.refusals import miscounted
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
from orchestrator.errors import BadResponse, ContentFiltered, ContextOverflow, PromptRefused

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
        does a prompt that a content filter does not let through, or that the server refuses.

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
            except PromptRefused:
                return [node.child(0, (), finish="refused")]
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
            logprobs=True if sampling.logprobs else None,
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
        url: str,
    ) -> list[Node]:
        choices = sorted(choices, key=lambda choice: choice.index)
        if len(choices) != n:
            raise miscounted(len(choices), n, url)
        if [choice.index for choice in choices] != list(range(n)):
            raise BadResponse(f"{url} did not number its {n} choices from 0 to {n - 1}", url=url)
        share, rest = divmod(usage.written_tokens, n)
        children = []
        for choice in choices:
            ids = _part(choice.token_ids, url)
            if prompt_ids is not None and ids is None:
                raise _without_token_ids(url)
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
                    logprob=_mean_logprob(choice) if sampling.logprobs else None,
                )
            )
        return children

    def _finish(
        self, choice: ChatChoice | CompletionChoice, text: str, sampling: Sampling
    ) -> Finish | None:
        """Paper: a path ends where its text does not end with the separator; one that ended without
        a word is "empty"."""
        if choice.finish_reason == "length":
            return "length"
        if choice.finish_reason == "content_filter":
            return "filtered"
        if sampling.until == "step" and text.endswith(self.separator):
            return None
        return "stop" if text.strip() else "empty"

    def _met(self, choice: ChatChoice | CompletionChoice) -> int | str | None:
        """The stop string or token a sample ended at, where the server names it."""
        if choice.stop_reason is None and isinstance(choice, ChatChoice):
            return choice.matched_stop
        return choice.stop_reason


class TokenPolicy(HttpPolicy):
    """Continues by token ids, as vLLM and the embedded server allow."""

    async def _ask(self, node: Node, n: int, sampling: Sampling, most: int | None) -> list[Node]:
        known = node.token_ids

        def begun(chat: ChatResponse, url: str) -> list[Node]:
            ids = _part(chat.prompt_token_ids, url)
            if ids is None:
                raise _without_token_ids(url)
            return self._children(node, n, sampling, chat.choices, chat.usage, (ids,), url)

        def gone_on(answer: CompletionResponse, url: str) -> list[Node]:
            return self._children(node, n, sampling, answer.choices, answer.usage, known, url)

        if known is None:
            return await self.transport.post(
                "/v1/chat/completions",
                self._chat(node, n, sampling, most, token_ids=True),
                ChatResponse,
                begun,
                node=node,
            )
        return await self.transport.post(
            "/v1/completions",
            CompletionRequest(
                prompt=token_list(known),
                return_token_ids=True,
                **self._common(node, n, sampling, most),  # type: ignore[arg-type]
            ),
            CompletionResponse,
            gone_on,
            node=node,
        )


class ChatPolicy(HttpPolicy):
    """Continues an open assistant message."""

    async def _ask(self, node: Node, n: int, sampling: Sampling, most: int | None) -> list[Node]:
        return await self.transport.post(
            "/v1/chat/completions",
            self._chat(node, n, sampling, most, token_ids=False),
            ChatResponse,
            lambda chat, url: self._children(
                node, n, sampling, chat.choices, chat.usage, None, url
            ),
            node=node,
        )


def _mean_logprob(choice: ChatChoice | CompletionChoice) -> float | None:
    """Of a sample's tokens; None where the server does not tell, as for a text that goes on."""
    told = choice.logprobs if isinstance(choice, ChatChoice) else None
    tokens = (told.get("content") or []) if isinstance(told, dict) else []
    found = [each.get("logprob") for each in tokens if isinstance(each, dict)]
    numbers = [each for each in found if isinstance(each, int | float)]
    return fmean(numbers) if numbers and len(numbers) == len(tokens) else None


def _part(listed: msgspec.Raw, url: str) -> bytes | None:
    try:
        return token_part(listed)
    except ValueError as error:
        raise BadResponse(f"{url} answers {error}", url=url) from None


def _without_token_ids(url: str) -> BadResponse:
    return BadResponse(f"{url} does not return token ids: set `continuation: chat` for it", url=url)
