"""Policies over HTTP: from a node to its children in one request.

``TokenPolicy`` asks for the first step over chat, which renders the model's own template, and
receives the prompt's token ids with it; from then on it sends token ids to ``/v1/completions``, so
no text is tokenised twice and the server's prefix cache is hit exactly. A further turn of the user
goes over chat again: only the template knows how a turn ends. ``ChatPolicy`` needs no token ids: it
continues an open assistant message, for servers that know ``continue_final_message``.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TypeVar, cast

import msgspec

from orchestrator.core.confidence import Confidence
from orchestrator.core.node import Finish, Node, sharing, split_steps
from orchestrator.core.ports import Sampling
from orchestrator.endpoints.http.ends import (
    AnyChoice,
    NoAnswer,
    Said,
    contents,
    no_answer,
    read_choice,
)
from orchestrator.endpoints.http.wire import (
    ChatRequest,
    ChatResponse,
    CompletionRequest,
    CompletionResponse,
    SamplingFields,
    token_count,
    token_list,
    token_part,
)
from orchestrator.endpoints.policies.likelihoods import likelihood_of_question, likelihood_of_sample
from orchestrator.endpoints.transport.refusals import miscounted
from orchestrator.endpoints.transport.transport import Transport, Used
from orchestrator.errors import (
    BadResponse,
    ContentFiltered,
    ContextOverflow,
    EndpointError,
    EndpointUnavailable,
    PromptRefused,
)
from orchestrator.formats.chat import Messages

LOG = logging.getLogger(__name__)

A = TypeVar("A", ChatResponse, CompletionResponse)

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"

PromptFormat = Callable[[str], Messages]
"""From a question to the chat messages that pose it."""


@dataclass(slots=True)
class HttpPolicy(ABC):
    """A policy behind an OpenAI-compatible server. ``separator`` ends a step; ``cuts_at`` is where
    the server cuts prompts without a word, in tokens."""

    transport: Transport
    prompt: PromptFormat
    separator: str = "\n\n"
    cuts_at: int | None = None
    _has_told: bool = field(default=False, init=False, repr=False)
    _has_told_of_logprobs: bool = field(default=False, init=False, repr=False)

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

    def _conversation(self, node: Node) -> Messages:
        """The messages up to the user's last turn. What a user says in a row is one message, as
        some chat templates demand."""
        messages = list(self.prompt(node.question))
        for turn in node.earlier:
            if messages[-1]["role"] == turn.role:
                said = messages.pop()["content"]
                messages.append({"role": turn.role, "content": f"{said}\n\n{turn.text}"})
            else:
                messages.append({"role": turn.role, "content": turn.text})
        return messages

    def _chat(
        self, node: Node, n: int, sampling: Sampling, most: int | None, *, token_ids: bool
    ) -> ChatRequest:
        messages = self._conversation(node)
        if node.steps:
            messages.append({"role": "assistant", "content": node.text})
        return ChatRequest(
            messages=messages,
            add_generation_prompt=not node.steps,
            continue_final_message=bool(node.steps),
            return_token_ids=token_ids,
            logprobs=True if sampling.logprobs else None,
            **self._sampled_by(node, n, sampling, most),
        )

    def _sampled_by(
        self, node: Node, n: int, sampling: Sampling, most: int | None
    ) -> SamplingFields:
        return {
            "model": self.transport.endpoint.model,
            "n": n,
            "max_tokens": most,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": node.seed,
            "stop": [self.separator] if sampling.until == "step" else None,
            "include_stop_str_in_output": sampling.until == "step",
            "prompt_logprobs": 0 if sampling.question_logprob else None,
        }

    async def _send(
        self,
        path: str,
        request: ChatRequest | CompletionRequest,
        kind: type[A],
        node: Node,
        n: int,
        sampling: Sampling,
        prompt_ids: Callable[[A, str], tuple[bytes, ...] | None],
    ) -> list[Node]:
        """Children of ``node``: the samples of an answer that are answers.

        Where some are not, the request goes out again as any bad answer's does; what is good of one
        try is kept for the next, and returned in the end without the others. The children share
        what all tries were billed for. ``prompt_ids`` finds the prompt's own tokens, None where
        they are not used.
        """
        good: dict[int, Node] = {}
        tries, used = 0, Used()

        def read(answer: A, url: str) -> list[Node]:
            nonlocal tries
            tries += 1
            used.add(answer.usage)
            prompt = prompt_ids(answer, url)
            self._keep(good, node, n, sampling, answer, prompt, url)
            return [good[i] for i in range(n)]

        try:
            children = await self.transport.post(path, request, kind, read, node=node)
        except (BadResponse, EndpointUnavailable) as failure:
            if not good:
                failure.prompt_tokens = used.prompt_tokens
                failure.cached_tokens = used.cached_tokens
                failure.written_tokens = used.written_tokens
                raise
            self._tell(failure)
            children = [good[i] for i in sorted(good)]
        return children if tries == 1 and len(children) == n else sharing(children, **asdict(used))

    def _tell(self, failure: EndpointError) -> None:
        """Once, why samples are missing that no failed request accounts for."""
        if not self._has_told:
            self._has_told = True
            LOG.warning("%s; the other samples of such requests are kept", failure)

    def _keep(
        self,
        good: dict[int, Node],
        node: Node,
        n: int,
        sampling: Sampling,
        answer: ChatResponse | CompletionResponse,
        prompt_ids: tuple[bytes, ...] | None,
        url: str,
    ) -> None:
        """Add the choices that are answers to ``good``, by their index.

        Raises ``BadResponse`` where that leaves one of ``n`` missing, or more.
        """
        usage, found = answer.usage, cast(Sequence[AnyChoice], answer.choices)
        if self.cuts_at is not None and usage.prompt_tokens >= self.cuts_at:
            raise ContextOverflow(f"{url} cut the prompt at {self.cuts_at:,} tokens", url=url)
        choices = sorted(found, key=lambda choice: choice.index)
        if len(choices) != n:
            raise miscounted(len(choices), n, url)
        if [choice.index for choice in choices] != list(range(n)):
            raise BadResponse(f"{url} did not number its {n} choices from 0 to {n - 1}", url=url)
        bad: list[NoAnswer] = []
        share, rest = divmod(usage.written_tokens, n)
        of_question = self._question_logprob(node, sampling, answer, url)
        are_blank = all(contents(choice).is_blank for choice in choices)
        for choice in choices:
            ids = _part(choice.token_ids, url)
            if prompt_ids is not None and ids is None:
                raise _without_token_ids(url)
            tokens = share + (choice.index < rest) if ids is None else token_count(ids)
            known = tokens if are_blank or ids is not None else None
            said = self._said(choice, sampling, known)
            if isinstance(said, NoAnswer):
                bad.append(said)
                continue
            whole = sampling.until == "end"
            child = node.child(
                choice.index,
                split_steps(said.text, self.separator) if whole else (said.text,),
                finish=self._finish(said, sampling),
                token_ids=None if prompt_ids is None or ids is None else (*prompt_ids, ids),
                step_tokens=tokens,
                prompt_tokens=usage.prompt_tokens,
                cached_tokens=usage.cached_tokens,
                confidence=self._confidence(choice, sampling, url),
                question_logprob=of_question,
                model=self.transport.endpoint.other_model(answer.model),
            )
            good.setdefault(choice.index, child)
        if len(good) < n:
            raise no_answer(bad, url)

    def _confidence(self, choice: AnyChoice, sampling: Sampling, url: str) -> Confidence | None:
        if not sampling.logprobs:
            return None
        try:
            return likelihood_of_sample(choice.logprobs)
        except ValueError as error:
            self._tell_of_logprobs(error, url)
            return None

    def _question_logprob(
        self, node: Node, sampling: Sampling, answer: ChatResponse | CompletionResponse, url: str
    ) -> float | None:
        if not sampling.question_logprob:
            return None
        holder = answer if isinstance(answer, ChatResponse) else answer.choices[0]
        try:
            return likelihood_of_question(holder.prompt_logprobs, node.question)
        except ValueError as error:
            self._tell_of_logprobs(error, url)
            return None

    def _tell_of_logprobs(self, error: ValueError, url: str) -> None:
        """Once, that a server's log-probabilities are none, and count as not given."""
        if not self._has_told_of_logprobs:
            self._has_told_of_logprobs = True
            LOG.warning("%s: %s; such answers count as given without any", url, error)

    def _said(self, choice: AnyChoice, sampling: Sampling, tokens: int | None) -> Said | NoAnswer:
        step_ends = self.separator if sampling.until == "step" else None
        return read_choice(choice, step_ends=step_ends, tokens=tokens)

    def _finish(self, said: Said, sampling: Sampling) -> Finish | None:
        """Paper: a path ends where its text does not end with the separator."""
        goes_on = said.end == "stop" and sampling.until == "step"
        return None if goes_on and said.text.endswith(self.separator) else said.end


class TokenPolicy(HttpPolicy):
    """Continues by token ids, as vLLM and the embedded server allow."""

    async def _ask(self, node: Node, n: int, sampling: Sampling, most: int | None) -> list[Node]:
        known = node.token_ids

        def prompt_ids(chat: ChatResponse, url: str) -> tuple[bytes, ...]:
            ids = _part(chat.prompt_token_ids, url)
            if ids is None:
                raise _without_token_ids(url)
            return (ids,)

        if known is None:
            chat = self._chat(node, n, sampling, most, token_ids=True)
            return await self._send(CHAT, chat, ChatResponse, node, n, sampling, prompt_ids)
        completion = CompletionRequest(
            prompt=token_list(known),
            return_token_ids=True,
            logprobs=0 if sampling.logprobs else None,
            **self._sampled_by(node, n, sampling, most),
        )
        return await self._send(
            COMPLETIONS, completion, CompletionResponse, node, n, sampling, lambda *_: known
        )


class ChatPolicy(HttpPolicy):
    """Continues an open assistant message."""

    async def _ask(self, node: Node, n: int, sampling: Sampling, most: int | None) -> list[Node]:
        chat = self._chat(node, n, sampling, most, token_ids=False)
        return await self._send(CHAT, chat, ChatResponse, node, n, sampling, lambda *_: None)


def _part(listed: msgspec.Raw, url: str) -> bytes | None:
    try:
        return token_part(listed)
    except ValueError as error:
        raise BadResponse(f"{url} answers {error}", url=url) from None


def _without_token_ids(url: str) -> BadResponse:
    return BadResponse(f"{url} does not return token ids: set `continuation: chat` for it", url=url)
