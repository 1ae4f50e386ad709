"""The requests that a probe sends: small ones, each asked once more at most."""

from collections.abc import Awaitable, Sequence

import msgspec

from orchestrator.endpoints.http.ends import contents
from orchestrator.endpoints.http.wire import (
    ChatRequest,
    ChatResponse,
    CompletionRequest,
    CompletionResponse,
)
from orchestrator.endpoints.transport.transport import Transport
from orchestrator.errors import (
    BadResponse,
    EndpointError,
    EndpointRefused,
    EndpointUnavailable,
    PromptRefused,
)
from orchestrator.formats.chat import Messages

COUNT: Messages = [
    {"role": "user", "content": "Write the numbers from 1 to 20, separated by spaces."}
]
WORDS: Messages = [{"role": "user", "content": "Write eight random words on one line."}]
FEW_TOKENS = 24

REFUSED = (EndpointRefused, PromptRefused)
"""Errors of a server that does not take what a request wishes; it may be taken for its text."""


async def works(request: Awaitable[object]) -> bool:
    """Whether a request is answered. Raises ``EndpointUnavailable`` where nobody answers."""
    try:
        await request
    except EndpointUnavailable:
        raise
    except EndpointError:
        return False
    return True


async def complete(
    transport: Transport, prompt: str | Sequence[int] | msgspec.Raw, most: int = 1
) -> CompletionResponse:
    """What follows ``prompt``, as its likeliest text of at most so many tokens."""
    request = CompletionRequest(
        model=transport.endpoint.model, prompt=prompt, max_tokens=most, temperature=0.0
    )
    return await transport.post("/v1/completions", request, CompletionResponse)


async def chat(
    transport: Transport,
    messages: Messages = COUNT,
    *,
    most: int = FEW_TOKENS,
    n: int = 1,
    seed: int | None = None,
    temperature: float = 0.0,
    stop: list[str] | None = None,
    continued: bool = False,
    return_token_ids: bool = False,
    logprobs: bool | None = None,
) -> ChatResponse:
    request = ChatRequest(
        model=transport.endpoint.model,
        messages=messages,
        max_tokens=most,
        n=n,
        seed=seed,
        temperature=temperature,
        stop=stop,
        include_stop_str_in_output=stop is not None,
        add_generation_prompt=not continued,
        continue_final_message=continued,
        return_token_ids=return_token_ids,
        logprobs=logprobs,
    )
    return await transport.post("/v1/chat/completions", request, ChatResponse, with_choices)


def with_choices(answer: ChatResponse, url: str) -> ChatResponse:
    """An answer that says anything at all. Raises ``BadResponse``."""
    if not answer.choices:
        raise BadResponse(f"{url} returned no choices", url=url)
    return answer


def texts(answer: ChatResponse) -> list[str]:
    """What the choices say, in their order."""
    choices = sorted(answer.choices, key=lambda choice: choice.index)
    return [contents(choice).text for choice in choices]
