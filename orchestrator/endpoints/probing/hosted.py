"""What a hosted model can do, found out by asking it twice."""

from orchestrator.endpoints.hosted.clouds import HostedAPI
from orchestrator.endpoints.http.wire import ChatRequest, ChatResponse, is_given
from orchestrator.endpoints.probing.asking import WORDS, with_choices
from orchestrator.endpoints.probing.listening import tokens_to_answer
from orchestrator.endpoints.probing.probe import PolicyAbilities, check_served
from orchestrator.endpoints.probing.sampling import judged
from orchestrator.endpoints.transport.transport import Transport
from orchestrator.errors import EndpointError, EndpointRefused

_UNSERVED = "does not serve the model"
_TOKENS = 512
"""Enough for a reasoning model to come to an answer."""


async def probe_hosted(
    transport: Transport, api: HostedAPI, *, allowed: int = 0
) -> PolicyAbilities:
    """Ask for all that a search may want; its sender learns what is refused, which costs nothing.

    A run gives a sample as many tokens as are ``allowed``.
    Raises ``EndpointError``; where the model is not served, with the nearest that is.
    """
    try:
        first = await _ask(transport)
    except EndpointRefused as refused:
        if api != "azure" and _UNSERVED in str(refused):  # Azure lists no deployments
            await _name_the_nearest(transport, refused)
        raise
    to_answer = await tokens_to_answer(transport, first, allowed)
    again = await _ask(transport)
    # One sample more is not worth its price where the API gives one a request.
    samples = await judged(first, again, lambda: _ask(transport, seed=2), of_one=False)
    return PolicyAbilities(
        n=samples.several,
        samples_differ=samples.differ,
        seed_honoured=samples.repeatable,
        logprobs=all(is_given(choice.logprobs) for choice in first.choices),
        ends_told=False,
        tokens_to_answer=to_answer,
    )


async def _name_the_nearest(transport: Transport, refused: EndpointRefused) -> None:
    """Raises the refusal that names it, where the API lists what it serves."""
    try:
        await check_served(transport)
    except EndpointError as error:
        if _UNSERVED in str(error):
            raise error from refused


async def _ask(transport: Transport, seed: int = 1) -> ChatResponse:
    request = ChatRequest(
        model=transport.endpoint.model,
        messages=WORDS,
        n=2,
        max_tokens=_TOKENS,
        temperature=0.7,
        top_p=0.9,
        seed=seed,
        stop=["\n\n"],
        logprobs=True,
    )
    return await transport.post("/v1/chat/completions", request, ChatResponse, with_choices)
