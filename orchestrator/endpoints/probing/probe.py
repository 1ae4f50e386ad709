"""What an endpoint can do, found out by asking: before a run, and for ``orchard check``.

Servers that call themselves OpenAI-compatible differ in what they know beyond the common core, and
most ignore in silence what they don't. So nothing is taken from a server's name or version: each
ability is seen at work, in a dozen small requests.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.core.fanout import fan_out
from orchestrator.core.node import root
from orchestrator.endpoints.http.ends import contents
from orchestrator.endpoints.http.wire import ChatResponse, ModelCard, is_given
from orchestrator.endpoints.prm import HttpPRM, ScoringRoute
from orchestrator.endpoints.probing.asking import REFUSED, WORDS, chat, complete, texts, works
from orchestrator.endpoints.probing.continuing import Continuation, Continued, continued
from orchestrator.endpoints.probing.cutting import prompts_cut_at
from orchestrator.endpoints.probing.listening import hides_steps, tokens_to_answer
from orchestrator.endpoints.probing.sampling import counts_samples, judged
from orchestrator.endpoints.transport.transport import Transport
from orchestrator.errors import BadResponse, EndpointError, EndpointRefused, EndpointUnavailable
from orchestrator.formats.closest import closest

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyAbilities:
    """What a policy's endpoint was seen to do.

    ``continuation`` is how a solution can be gone on with: by "tokens", by an open "chat" message,
    by one that the server has "rendered" to tokens, or not at all; ``trims``: an open message loses
    the separator at its end. ``n``: several samples in one request that are no copies of one and
    are all counted. ``samples_differ``: samples are not all the same, whatever the seed.
    ``ends_told``: an answer shows whether a stop string ended it. ``context`` is in tokens.
    ``simulated``: there is no model, and what it writes is made up. ``tokens_to_answer`` are those
    that a model which thinks took for a sum, ``hides_steps``: a step of its thought is no text.
    ``cuts_at`` is where prompts are cut without a word, in tokens.

    Of a hosted model, ``refused`` are the parameters its API does not take, and ``most_tokens`` the
    longest answer it can be asked for.
    """

    context: int | None = None
    completions: bool = False
    token_ids: bool = False
    continuation: Continuation | None = None
    trims: bool = False
    n: bool = True
    samples_differ: bool = True
    seed_honoured: bool = False
    logprobs: bool = False
    ends_told: bool = True
    tokens_to_answer: int | None = None
    hides_steps: bool = False
    cuts_at: int | None = None
    simulated: bool = False
    refused: tuple[str, ...] = ()
    most_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PRMAbilities:
    """What a PRM's endpoint was seen to do: it scores every step. ``context`` is in tokens;
    ``scored_by`` is the route that its server has; ``simulated``, ``refused`` and
    ``most_tokens`` are as of policies."""

    context: int | None = None
    scored_by: ScoringRoute = "pooling"
    simulated: bool = False
    refused: tuple[str, ...] = ()
    most_tokens: int | None = None


async def check_served(transport: Transport) -> ModelCard:
    """What a replica says of the served model.

    A replica where nothing answers is named in a warning and gets no request until it is seen to be
    healthy, as long as there is another one: it may be back any time. Raises ``EndpointRefused``
    where some replica does not serve the model, and names what it serves; ``EndpointUnavailable``
    where none answers.
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
    for replica in transport.dispatcher.replicas:
        if replica.base in gone:
            transport.dispatcher.hold_against(replica, gone[replica.base], is_certain=True)
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
        near = closest(model, cards)
        hint = f"did you mean {near!r}?" if near else f"it serves: {', '.join(cards)}"
        raise EndpointRefused(f"{base} does not serve the model {model!r}; {hint}", url=base)
    return card


async def probe_policy(
    transport: Transport,
    *,
    separator: str = "\n\n",
    by_ids: bool = True,
    needed: int = 0,
    allowed: int = 0,
) -> PolicyAbilities:
    """Try a policy's endpoint with a few hundred tokens, and a prompt of a few thousand where the
    server does not tell its context.

    ``separator`` ends a step, ``by_ids`` says whether a solution may be continued by token ids, and
    ``needed`` are the tokens that a run may come to, ``allowed`` those of one sample. Raises
    ``EndpointError``.
    """
    card = await check_served(transport)
    first = await _two_samples(transport, seed=1)
    to_answer = await tokens_to_answer(transport, first, allowed)
    again = await _two_samples(transport, seed=1)
    samples = await judged(first, again, lambda: _two_samples(transport, seed=2))
    gives_ids = all(map(is_given, (first.prompt_token_ids, *(c.token_ids for c in first.choices))))
    goes_on = gives_ids and await works(complete(transport, first.prompt_token_ids))
    how = Continued("tokens") if goes_on and by_ids else await continued(transport, separator)
    return PolicyAbilities(
        context=card.max_model_len,
        simulated=card.is_simulated,
        completions=goes_on or await works(complete(transport, "1 2 3")),
        token_ids=gives_ids,
        continuation=how.by,
        trims=how.trims,
        n=samples.several and (gives_ids or await counts_samples(transport)),
        samples_differ=samples.differ,
        seed_honoured=samples.repeatable,
        logprobs=await _gives_logprobs(transport),
        ends_told=await _tells_ends(transport),
        tokens_to_answer=to_answer,
        hides_steps=to_answer is not None and await hides_steps(transport, separator),
        cuts_at=(
            await prompts_cut_at(transport, first.usage, needed)
            if card.max_model_len is None
            else None
        ),
    )


async def probe_prm(
    transport: Transport, prms: Mapping[ScoringRoute, HttpPRM], *, listed: bool = True
) -> PRMAbilities:
    """Score a solution of two steps by the first of ``prms`` whose route the server has; ``listed``
    says whether it lists what it serves.

    Raises ``EndpointError``, for instance where the scores are not one a step, and
    ``EndpointRefused`` with the reasons where it has none of the routes.
    """
    card = await check_served(transport) if listed else ModelCard(transport.endpoint.model)
    steps = ("1 + 1 = 2.\n\n", r"The answer is $\boxed{2}$.")
    asked = root("What is 1 + 1?", seed=1, problem_id="probe")
    solution = asked.child(0, steps, finish="stop")
    refusals: dict[ScoringRoute, EndpointRefused] = {}
    for route, prm in prms.items():
        try:
            (scored,) = await prm.score([solution])
        except EndpointRefused as refused:
            refusals[route] = refused
            continue
        if not scored.scores:
            said = f"{prm.url} takes no solution of two short steps: it ends as {scored.finish}"
            raise BadResponse(said, url=prm.url)
        return PRMAbilities(
            context=card.max_model_len, scored_by=route, simulated=card.is_simulated
        )
    raise _by_no_route(refusals, transport)


def _by_no_route(
    refusals: Mapping[ScoringRoute, EndpointRefused], transport: Transport
) -> EndpointRefused:
    *_, last = refusals.values()
    if len(refusals) == 1:
        return last
    url = transport.endpoint.urls[0]
    reasons = "; ".join(f"{route}: {refused}" for route, refused in refusals.items())
    return EndpointRefused(f"{url} scores by neither route; {reasons}", url=url)


async def _two_samples(transport: Transport, seed: int) -> ChatResponse:
    asked: dict[str, Any] = {"seed": seed, "temperature": 1.0}
    try:
        return await chat(transport, WORDS, n=2, return_token_ids=True, **asked)
    except REFUSED:  # some refuse what they do not know, and more than one sample
        pass
    try:
        return await chat(transport, WORDS, n=2, **asked)
    except REFUSED:
        return await chat(transport, WORDS, **asked)


async def _tells_ends(transport: Transport) -> bool:
    """Whether a stop string is kept in the text, or named as the reason it ended there."""
    wanted = texts(await chat(transport))[0].strip()[2:5]
    if not wanted.strip():  # too little was said to stop in
        return True
    try:
        stopped = (await chat(transport, stop=[wanted])).choices[0]
    except REFUSED:
        return False
    told = contents(stopped).text
    return told.endswith(wanted) or wanted in (stopped.stop_reason, stopped.matched_stop)


async def _gives_logprobs(transport: Transport) -> bool:
    try:
        answer = await chat(transport, logprobs=True)
    except EndpointUnavailable:
        raise
    except EndpointError:
        return False
    return is_given(answer.choices[0].logprobs)
