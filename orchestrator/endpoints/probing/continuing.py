"""How a server goes on with a solution that is begun, which a search by steps rests on.

The open message of the probe ends as those of a run do, with the separator of steps: some chat
templates trim it, and some servers refuse a message that ends with white space.
"""

from dataclasses import dataclass
from typing import Literal

from orchestrator.endpoints.http.ends import contents
from orchestrator.endpoints.http.wire import ChatResponse
from orchestrator.endpoints.policies.rendered import render, tokens_after_text
from orchestrator.endpoints.probing.asking import (
    FEW_TOKENS,
    REFUSED,
    chat,
    complete,
    texts,
)
from orchestrator.endpoints.transport.transport import Transport
from orchestrator.errors import EndpointError, EndpointUnavailable
from orchestrator.formats.chat import Messages

Continuation = Literal["tokens", "rendered", "chat"]
Certainty = Literal["yes", "perhaps", "no"]

_QUESTION = (
    "Write the numbers from 1 to 21. Write three numbers on a line, with spaces between them, and "
    "leave a blank line after each line."
)
_STEPS = ("1 2 3", "4 5 6", "7 8 9")
_NEXT = "10"


@dataclass(frozen=True, slots=True)
class Continued:
    """``by`` is how a solution can be gone on with, None where it cannot be. ``trims``: an open
    message loses the separator at its end."""

    by: Continuation | None
    trims: bool = False


async def continued(transport: Transport, separator: str) -> Continued:
    """Whether an open assistant message is gone on with, and whole.

    A server that knows the wish renders the message without its end, and so counts fewer tokens
    than without the wish. One that counts the same may do so always, or never: its text tells.
    Raises ``EndpointUnavailable``.
    """
    try:
        opened = await _opened(transport, separator, separator)
        if opened is None:
            opened = await _opened(transport, separator, "")
            trims: Certainty = "yes" if opened is not None else "no"
        else:
            trims = await _trims(transport, separator, opened)
    except EndpointUnavailable:
        raise
    except EndpointError:
        return Continued(None)
    if opened is None:
        return Continued(None)
    if trims != "no" and await _renders(transport, separator):
        return Continued("rendered", trims=True)
    return Continued("chat", trims=trims == "yes")


async def _opened(transport: Transport, separator: str, end: str) -> ChatResponse | None:
    """What is written after a message that ends so; None where it is no continuation of it."""
    messages = _begun(separator, end)
    try:
        wished = await chat(transport, messages, continued=True)
    except REFUSED:
        return None
    plain = await chat(transport, messages)
    is_shorter = 0 < wished.usage.prompt_tokens < plain.usage.prompt_tokens
    return wished if is_shorter or texts(wished)[0].lstrip().startswith(_NEXT) else None


async def _trims(transport: Transport, separator: str, opened: ChatResponse) -> Certainty:
    """Whether what comes first after the separator is the separator again, since it was lost.

    A weak model may not show it, and a count of tokens that is the same without the separator is
    no proof: some servers count nothing, or words.
    """
    bare = await chat(transport, _begun(separator, ""), continued=True)
    if 0 < bare.usage.prompt_tokens < opened.usage.prompt_tokens:
        return "no"
    if texts(opened)[0].lstrip(" ").startswith(separator):
        return "yes"
    return "perhaps" if bare.usage.prompt_tokens else "no"


async def _renders(transport: Transport, separator: str) -> bool:
    """Whether a conversation can be rendered to token ids and gone on with from there."""
    try:
        ids = await render(transport, _begun(separator, ""))
        tail = await tokens_after_text(transport, separator)
        answer = await complete(transport, [*ids, *tail], FEW_TOKENS)
    except EndpointError:  # of a route that need not be there, so that no error of it counts
        return False
    text = contents(answer.choices[0]).text if answer.choices else ""
    return bool(text.strip()) and not text.startswith(separator)


def _begun(separator: str, end: str) -> Messages:
    begun = separator.join(_STEPS) + end
    return [{"role": "user", "content": _QUESTION}, {"role": "assistant", "content": begun}]
