"""Whether samples are worth asking for: several a request, different ones, the same ones again."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from orchestrator.endpoints.http.wire import ChatResponse
from orchestrator.endpoints.probing.asking import REFUSED, chat, texts
from orchestrator.endpoints.transport.transport import Transport


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """``several`` come of one request and are no copies; they ``differ`` at all, by the seed at
    least; the same seed is ``repeatable``."""

    several: bool
    differ: bool
    repeatable: bool


async def judged(
    first: ChatResponse,
    again: ChatResponse,
    other: Callable[[], Awaitable[ChatResponse]],
    *,
    of_one: bool = True,
) -> Samples:
    """What two answers to one request for two samples show.

    Where those samples are all the same, ``other`` asks with another seed, as a run does that asks
    for samples one by one; for a server that gave one sample each only with ``of_one``.
    """
    one, same = texts(first), texts(again)
    several, repeatable = len(one) > 1, one == same
    if len(set(one)) > 1 or not (several or of_one):
        return Samples(several=several, differ=True, repeatable=repeatable)
    elsewhere = texts(await other())
    differ = len({*one, *same, *elsewhere}) > 1
    copies = several and differ and len(set(elsewhere)) == 1
    return Samples(several=several and not copies, differ=differ, repeatable=repeatable)


async def counts_samples(transport: Transport) -> bool:
    """Whether the usage counts every sample of a request.

    That of llama.cpp counts the first one alone; its samples are counted where each is a request.
    Two samples of one token each tell. Raises ``EndpointError``.
    """
    try:
        answer = await chat(transport, n=2, most=1, temperature=1.0)
    except REFUSED:
        return True
    return answer.usage.completion_tokens != 1
