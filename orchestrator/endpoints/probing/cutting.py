"""Servers that cut a prompt which is too long, and say nothing.

Ollama does beyond its ``num_ctx``, of 2,048 or 4,096 tokens where nobody set it. Its count of the
prompt's tokens gives it away: it is less than the prompt must have, and does not grow with it.
"""

from itertools import cycle, islice

from orchestrator.endpoints.http.wire import Usage
from orchestrator.endpoints.probing.asking import chat
from orchestrator.endpoints.transport.transport import Transport
from orchestrator.errors import EndpointError, EndpointUnavailable

SIZES = (2_500, 5_000)
"""Words of a long prompt: each is a token at least."""

_WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_FAR = 0.9
"""A count below this share of the words is less than the prompt must have."""

_GROWTH = 1.2
"""How much more of a prompt half as long again llama.cpp's way of cutting may leave, at most."""


async def prompts_cut_at(transport: Transport, short: Usage, needed: int) -> int | None:
    """How many tokens of a prompt a server reads at most, where it cuts longer ones without a word.

    ``short`` is what it counted of a short prompt; ``needed`` tokens are all that a run may come
    to. Raises ``EndpointUnavailable``.
    """
    words = next((size for size in SIZES if size >= needed), SIZES[-1])
    try:
        long = await _count(transport, words)
        if not short.prompt_tokens < long < _FAR * words:
            return None
        longer = await _count(transport, words * 3 // 2)
    except EndpointUnavailable as failure:
        if failure.timed_out:
            return None
        raise
    except EndpointError:  # it says that this is too long
        return None
    return max(long, longer) if longer <= _GROWTH * long else None


async def _count(transport: Transport, words: int) -> int:
    content = " ".join(islice(cycle(_WORDS), words))
    answer = await chat(transport, [{"role": "user", "content": content}], most=1)
    return answer.usage.prompt_tokens
