"""Whether a model says anything, found out before a run pays for answers that are none."""

from orchestrator.endpoints.http.ends import NoAnswer, Said, contents, read_choice
from orchestrator.endpoints.http.wire import ChatChoice, ChatResponse
from orchestrator.endpoints.probing.asking import FEW_TOKENS, chat
from orchestrator.endpoints.transport.transport import Transport
from orchestrator.errors import BadResponse, EndpointUnavailable
from orchestrator.formats.chat import Messages

SUM: Messages = [{"role": "user", "content": "What is 12 + 30? Answer with the number."}]
THOUGHT_TOKENS = (2_048, 8_192)
"""How long a model may think about a sum: at least, and at most where a run allows as much."""

_STEP_TOKENS = 512

_SILENCES = {
    "refused": "declines to answer a sum",
    "filtered": "has a content filter that stops its answer to a sum",
    "empty": "ends its answers without a word: is its chat template the model's own?",
}


async def tokens_to_answer(
    transport: Transport, first: ChatResponse, allowed: int = 0
) -> int | None:
    """How many tokens a model took for a sum, where the few of its ``first`` answer were all
    thought; None where it says something at once. A run gives a sample so many as are ``allowed``.

    Raises ``EndpointError``: ``BadResponse`` with what to set where it says nothing at all.
    """
    share = first.usage.written_tokens // len(first.choices)
    heard = [read_choice(choice, tokens=share) for choice in first.choices]
    if any(isinstance(said, Said) and said.text.strip() for said in heard):
        return None
    least, most = THOUGHT_TOKENS
    most = min(most, max(least, allowed))
    try:
        answer = await chat(transport, SUM, most=most, temperature=0.6)
    except EndpointUnavailable as failure:
        if failure.timed_out:
            return least
        raise
    taken = answer.usage.written_tokens
    said = read_choice(answer.choices[0], tokens=taken)
    if isinstance(said, Said) and said.text.strip():
        was_cut = any(isinstance(each, Said) and each.end == "length" for each in heard)
        return max(taken, FEW_TOKENS + 1) if was_cut else None
    if isinstance(said, Said) and said.end == "length":
        return most
    url = transport.endpoint.bases[0]
    raise BadResponse(f"{url} {_silence(said, answer.choices[0])}", url=url)


def _silence(said: Said | NoAnswer, choice: ChatChoice) -> str:
    if isinstance(said, NoAnswer):
        return said.why
    words = contents(choice).refusal.strip()
    return _SILENCES[said.end] + (f": {words[:200]}" if words else "")


async def hides_steps(transport: Transport, separator: str) -> bool:
    """Whether a model that thinks does so in a field of its own, where a stop string that ends a
    step of its thought leaves no text. Raises ``EndpointError``."""
    answer = await chat(transport, SUM, most=_STEP_TOKENS, temperature=0.6, stop=[separator])
    said = read_choice(answer.choices[0], step_ends=separator)
    return isinstance(said, NoAnswer) or not said.text.strip()
