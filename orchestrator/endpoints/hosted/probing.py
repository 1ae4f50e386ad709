"""What a hosted model can do, found out by asking it twice."""

from orchestrator.endpoints.ends import contents
from orchestrator.endpoints.hosted.clouds import HostedAPI
from orchestrator.endpoints.probe import PolicyAbilities, check_served, with_choices
from orchestrator.endpoints.transport import Transport
from orchestrator.endpoints.wire import ChatRequest, ChatResponse
from orchestrator.errors import EndpointError, EndpointRefused

_QUESTION = [{"role": "user", "content": "Write eight random words on one line."}]
_UNSERVED = "does not serve the model"
_TOKENS = 512
"""Enough for a reasoning model to come to an answer."""


async def probe_hosted(transport: Transport, api: HostedAPI) -> PolicyAbilities:
    """Ask for all that a search may want; its sender learns what is refused, which costs nothing.

    Raises ``EndpointError``; where the model is not served, with the nearest that is.
    """
    try:
        first = await _ask(transport)
    except EndpointRefused as refused:
        if api != "azure" and _UNSERVED in str(refused):  # Azure lists no deployments
            await _name_the_nearest(transport, refused)
        raise
    again = await _ask(transport)
    texts, texts_again = _texts(first), _texts(again)
    several = len(texts) == 2
    return PolicyAbilities(
        n=several,
        samples_differ=len({*texts, *texts_again}) > 1,
        seed_honoured=texts == texts_again,
        logprobs=all(choice.logprobs for choice in first.choices),
        ends_told=False,
    )


async def _name_the_nearest(transport: Transport, refused: EndpointRefused) -> None:
    """Raises the refusal that names it, where the API lists what it serves."""
    try:
        await check_served(transport)
    except EndpointError as error:
        if _UNSERVED in str(error):
            raise error from refused


async def _ask(transport: Transport) -> ChatResponse:
    request = ChatRequest(
        model=transport.endpoint.model,
        messages=_QUESTION,
        n=2,
        max_tokens=_TOKENS,
        temperature=0.7,
        top_p=0.9,
        seed=1,
        stop=["\n\n"],
        logprobs=True,
        top_logprobs=2,
    )
    return await transport.post("/v1/chat/completions", request, ChatResponse, with_choices)


def _texts(answer: ChatResponse) -> list[str]:
    choices = sorted(answer.choices, key=lambda choice: choice.index)
    return [contents(choice).text for choice in choices]
