"""Which part of a solution may state its answer: not what the model thought before it."""

import re
from collections.abc import Callable

from orchestrator.core.node import Finish

_TAGS = r"(?:think|thinking|thought|seed:think)"
_OPENS = re.compile(rf"\s*(?:<{_TAGS}>|\[THINK\]|◁think▷)", re.IGNORECASE)
_CLOSES = re.compile(rf"</{_TAGS}>|\[/THINK\]|◁/think▷", re.IGNORECASE)

MIDWAY: frozenset[Finish | None] = frozenset({"length", "filtered"})
"""Ends in the middle of a sentence, or of a number."""


def after_thought(text: str) -> str | None:
    """``text`` without the thought that it begins with, as a reasoning model writes it where its
    server has no reasoning parser; None where the thought does not end.

    Some chat templates open the thought, so that only its end stands in the text.
    """
    end = None
    for match in _CLOSES.finditer(text):
        end = match.end()
    if end is not None:
        return text[end:].lstrip()
    return None if _OPENS.match(text) else text


def stating(text: str, finish: Finish | None, is_complete: Callable[[str], bool]) -> str | None:
    """The part of a path's text that its answer is to be read from; None where it states none.

    A text that was cut may end in half a number: it counts only if its task says that it
    ``is_complete``, and nothing of a thought that was cut does. A path that was ended where a step
    ends is read as it is.
    """
    answer = after_thought(text)
    if finish not in MIDWAY:
        return text if answer is None else answer
    return answer if answer is not None and is_complete(answer) else None
