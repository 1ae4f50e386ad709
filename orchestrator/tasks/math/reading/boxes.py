r"""Boxes: ``\boxed{…}`` and what else a solution marks its answer with, read in linear time."""

import re
from typing import NamedTuple

_BRACE = re.compile(
    r"(?P<box>\\(?:boxed|fbox|framebox)(?![a-zA-Z]) ?\{|(?<![a-zA-Z\\])boxed ?\{)|\\.|[{}]",
    re.DOTALL,
)
_BARE = re.compile(
    r"\\(?:boxed|fbox)(?: ?(?P<number>-?\d[\d,.]*(?<![,.]))| (?P<letter>[A-Za-z])(?![A-Za-z]))"
)
_PLACEHOLDER = re.compile(
    r"\\(?:boxed|fbox) ?\{ ?(?:\\text ?\{)? ?"
    r"(?:(?:the |your )?(?:final )?answer|\.\.\.|\?|\\l?dots) ?\}? ?\}",
    re.IGNORECASE,
)
_BETWEEN = re.compile(
    r"(?:[\s$]|\\[()\[\]]|\\,|\\ |\\quad)*"
    r"(?:,|;|(?:, ?)?(?:and|or)\b|(?:, ?)?\\text ?\{ ?(?:and|or) ?\})"
    r"(?:[\s$]|\\[()\[\]]|\\,|\\ |\\quad)*"
)
"""What may stand between the boxes of one list."""

_MAX_BETWEEN = 40
_MARKED = re.compile(r"(?:^|\n) ?#### ?([^\n]+)\s*$")


class Boxes(NamedTuple):
    """``closed`` holds the contents in the order they open, those of one list together;
    ``open_at`` is where a box opens that never closes, None where all do."""

    closed: list[str]
    open_at: int | None


def boxes(text: str) -> Boxes:
    """All boxes of a text; of boxes in boxes the innermost."""
    opened: list[tuple[int, int | None]] = []
    found = {m.start(): (m["number"] or m["letter"], m.end()) for m in _BARE.finditer(text)}
    last = -1
    for match in _BRACE.finditer(text):
        token = match[0]
        if token == "}":
            if not opened:
                continue
            start, box = opened.pop()
            if box is not None:
                # One box in another would be copied once a level: keep the innermost.
                inner = "" if last > box else text[start : match.start()].strip()
                found[box] = inner, match.end()
                last = box
        elif match["box"] or token == "{":
            opened.append((match.end(), match.start() if match["box"] else None))
    unclosed = [box for _, box in opened if box is not None]
    return Boxes(_lists(text, found), min(unclosed, default=None))


def _lists(text: str, found: dict[int, tuple[str, int]]) -> list[str]:
    r"""What the boxes state, in order: those of ``\boxed{2} and \boxed{3}`` one list."""
    stated: list[list[str]] = []
    last = 0
    for start in sorted(found):
        content, end = found[start]
        between = text[last:start] if 0 < start - last <= _MAX_BETWEEN else ""
        if stated and stated[-1][-1] and content and _BETWEEN.fullmatch(between):
            if content not in stated[-1]:
                stated[-1].append(content)
        else:
            stated.append([content])
        last = end
    return [", ".join(contents) for contents in stated]


def without_placeholders(text: str) -> str:
    r"""Without boxes that only quote the instruction: ``\boxed{answer}``."""
    return _PLACEHOLDER.sub(" ", text)


def marked(text: str) -> str | None:
    """What follows ``####`` in the last line, as in the solutions of GSM8K."""
    found = _MARKED.search(text)
    return found[1].strip() or None if found else None


def reference(text: str) -> str:
    """The answer of a data set's answer field: a whole solution states it, else it is the text."""
    if (answer := marked(text)) is not None:
        return answer
    filled = [box for box in boxes(text).closed if box]
    return filled[-1] if filled else text
