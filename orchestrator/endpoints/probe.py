"""What an endpoint can do, found out by asking: before a run, and for ``orchard check``.

Servers that call themselves OpenAI-compatible differ in what they know beyond the common core, and
most ignore in silence what they don't. So nothing is taken from a server's name or version: each
ability is seen at work, in a dozen small requests.
"""

import difflib
import logging
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Literal

import msgspec

from orchestrator.core.fanout import fan_out
from orchestrator.core.tree import root
from orchestrator.endpoints.ends import contents
from orchestrator.endpoints.prm import HttpPRM
from orchestrator.endpoints.transport import Transport
from orchestrator.endpoints.wire import (
    ChatRequest,
    ChatResponse,
    CompletionRequest,
    CompletionResponse,
    ModelCard,
    is_listed,
)
from orchestrator.errors import BadResponse, EndpointError, EndpointRefused, EndpointUnavailable

LOG = logging.getLogger(__name__)

Continuation = Literal["tokens", "chat"]

_QUESTION = [{"role": "user", "content": "Write the numbers from 1 to 20, separated by spaces."}]
_BEGUN = [*_QUESTION, {"role": "assistant", "content": "1 2 3 4 5 6 7 8 9"}]
_NEXT = "10"
_TOKENS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyAbilities:
    """What a policy's endpoint was seen to do.

    ``continuation`` is how a solution can be gone on with: by "tokens", by an open "chat" message,
    or not at all. ``n``: several samples in one request, ``samples_differ``: and not all the same.
    ``ends_told``: an answer shows whether a stop string ended it. ``context`` is in tokens.
    ``simulated``: there is no model, and what it writes is made up.

    Of a hosted model, ``refused`` are the parameters its API does not take, and ``most_tokens`` the
    longest answer it can be asked for.
    """

    context: int | None = None
    completions: bool = False
    token_ids: bool = False
    continuation: Continuation | None = None
    n: bool = True
    samples_differ: bool = True
    seed_honoured: bool = False
    logprobs: bool = False
    ends_told: bool = True
    simulated: bool = False
    refused: tuple[str, ...] = ()
    most_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PRMAbilities:
    """What a PRM's endpoint was seen to do: it scores every step. ``context`` is in tokens;
    ``scored_by`` is "pooling", "prefix" completions or "chat"; ``simulated``, ``refused`` and
    ``most_tokens`` are as of policies."""

    context: int | None = None
    scored_by: str = "pooling"
    simulated: bool = False
    refused: tuple[str, ...] = ()
    most_tokens: int | None = None


async def check_served(transport: Transport) -> ModelCard:
    """What a replica says of the served model.

    A replica where nothing answers is named in a warning and asked nothing more, as long as there
    is another one: it may be back any time. Raises ``EndpointRefused`` where some replica does not
    serve the model, and names what it serves; ``EndpointUnavailable`` where none answers.
    """
    bases = transport.endpoint.bases
    found = await fan_out(_card(transport, base) for base in bases)
    gone = {
        base: each
        for base, each in zip(bases, found, strict=True)
        if isinstance(each, EndpointUnavailable)
    }
    if len(gone) == len(bases):
        raise next(iter(gone.values()))
    for failure in gone.values():
        left = len(bases) - len(gone)
        LOG.warning("%s; going on with %d of %d replicas", failure, left, len(bases))
    if gone:
        transport.dispatcher.put_replicas([base for base in bases if base not in gone])
    return next(card for card in reversed(found) if isinstance(card, ModelCard))


async def _card(transport: Transport, base: str) -> ModelCard | EndpointUnavailable:
    """What a replica says of the model it serves, or why it says nothing."""
    try:
        cards = {card.id: card for card in (await transport.models(base)).data}
    except EndpointUnavailable as failure:
        return failure
    model = transport.endpoint.model
    card = cards.get(model)
    if card is None:
        near = difflib.get_close_matches(model, cards, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"it serves: {', '.join(cards)}"
        raise EndpointRefused(f"{base} does not serve the model {model!r}; {hint}", url=base)
    return card


async def probe_policy(transport: Transport) -> PolicyAbilities:
    """Try a policy's endpoint with a few hundred tokens. Raises ``EndpointError``."""
    card = await check_served(transport)
    two = await _two_samples(transport)
    again = await _two_samples(transport)
    gives_ids = all(map(is_listed, (two.prompt_token_ids, *(c.token_ids for c in two.choices))))
    by_ids = gives_ids and await _works(_complete(transport, two.prompt_token_ids))
    by_chat = by_ids or await _continues_chat(transport)
    return PolicyAbilities(
        context=card.max_model_len,
        simulated=card.is_simulated,
        completions=by_ids or await _works(_complete(transport, "1 2 3")),
        token_ids=gives_ids,
        continuation="tokens" if by_ids else "chat" if by_chat else None,
        n=len(two.choices) == 2,
        samples_differ=len(set(_texts(two))) == len(two.choices),
        seed_honoured=_texts(two) == _texts(again),
        logprobs=await _gives_logprobs(transport),
        ends_told=await _tells_ends(transport),
    )


async def probe_prm(transport: Transport, prm: HttpPRM, *, listed: bool = True) -> PRMAbilities:
    """Score a solution of two steps; ``listed`` says whether its server lists what it serves.

    Raises ``EndpointError``, for instance where the scores are not one a step.
    """
    card = await check_served(transport) if listed else ModelCard(transport.endpoint.model)
    steps = ("1 + 1 = 2.\n\n", r"The answer is $\boxed{2}$.")
    asked = root("What is 1 + 1?", seed=1, problem_id="probe")
    await prm.score([asked.child(0, steps, finish="stop")])
    return PRMAbilities(
        context=card.max_model_len, scored_by=prm.scored_by, simulated=card.is_simulated
    )


async def _two_samples(transport: Transport) -> ChatResponse:
    try:
        return await _chat(transport, n=2, seed=1, temperature=1.0, return_token_ids=True)
    except EndpointRefused:  # some refuse what they do not know, and more than one sample
        pass
    try:
        return await _chat(transport, n=2, seed=1, temperature=1.0)
    except EndpointRefused:
        return await _chat(transport, seed=1, temperature=1.0)


async def _continues_chat(transport: Transport) -> bool:
    """Whether an open assistant message is gone on with.

    A server that knows the wish renders the message without its end, and so counts fewer tokens
    than without the wish. One that counts the same may do so always, or never: its text tells.
    """
    try:
        wished = await _chat(transport, _BEGUN, continued=True)
        plain = await _chat(transport, _BEGUN)
    except EndpointUnavailable:
        raise
    except EndpointError:
        return False
    if 0 < wished.usage.prompt_tokens < plain.usage.prompt_tokens:
        return True
    return _texts(wished)[0].lstrip().startswith(_NEXT)


async def _tells_ends(transport: Transport) -> bool:
    """Whether a stop string is kept in the text, or named as the reason it ended there."""
    wanted = _texts(await _chat(transport))[0].strip()[2:5]
    if not wanted.strip():  # too little was said to stop in
        return True
    try:
        stopped = (await _chat(transport, stop=[wanted])).choices[0]
    except EndpointRefused:
        return False
    told = contents(stopped).text
    return told.endswith(wanted) or wanted in (stopped.stop_reason, stopped.matched_stop)


async def _gives_logprobs(transport: Transport) -> bool:
    try:
        answer = await _chat(transport, logprobs=True, top_logprobs=2)
    except EndpointUnavailable:
        raise
    except EndpointError:
        return False
    return bool(answer.choices[0].logprobs)


async def _works(request: Awaitable[object]) -> bool:
    try:
        await request
    except EndpointUnavailable:
        raise
    except EndpointError:
        return False
    return True


async def _complete(transport: Transport, prompt: str | msgspec.Raw) -> CompletionResponse:
    request = CompletionRequest(model=transport.endpoint.model, prompt=prompt, max_tokens=1)
    return await transport.post("/v1/completions", request, CompletionResponse)


async def _chat(
    transport: Transport,
    messages: list[dict[str, str]] = _QUESTION,
    *,
    n: int = 1,
    seed: int | None = None,
    temperature: float = 0.0,
    stop: list[str] | None = None,
    continued: bool = False,
    return_token_ids: bool = False,
    logprobs: bool | None = None,
    top_logprobs: int | None = None,
) -> ChatResponse:
    request = ChatRequest(
        model=transport.endpoint.model,
        messages=messages,
        max_tokens=_TOKENS,
        n=n,
        seed=seed,
        temperature=temperature,
        stop=stop,
        include_stop_str_in_output=stop is not None,
        add_generation_prompt=not continued,
        continue_final_message=continued,
        return_token_ids=return_token_ids,
        logprobs=logprobs,
        top_logprobs=top_logprobs,
    )
    return await transport.post("/v1/chat/completions", request, ChatResponse, with_choices)


def with_choices(answer: ChatResponse, url: str) -> ChatResponse:
    """An answer that says anything at all. Raises ``BadResponse``."""
    if not answer.choices:
        raise BadResponse(f"{url} returned no choices", url=url)
    return answer


def _texts(answer: ChatResponse) -> list[str]:
    choices = sorted(answer.choices, key=lambda choice: choice.index)
    return [contents(choice).text for choice in choices]
