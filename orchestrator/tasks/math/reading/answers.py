r"""Answers as values: from text, LaTeX or plain, to ``terms``.

An answer is read as a whole, or it is a ``Spelling``, which equals nothing but itself. Units are
taken off numbers only, ``\text{…}`` keeps its meaning, and words are not products.
"""

import re
from dataclasses import fields, is_dataclass
from fractions import Fraction
from functools import lru_cache

from orchestrator.tasks.math.reading.boxes import reference
from orchestrator.tasks.math.reading.delimiters import undelimited
from orchestrator.tasks.math.reading.latex import MAX_ANSWER, compact, normalise, plain
from orchestrator.tasks.math.reading.phrases import words_of
from orchestrator.tasks.math.reading.statements import StatementReader
from orchestrator.tasks.math.reading.tokens import tokenise
from orchestrator.tasks.math.terms import (
    EMPTY,
    EULER,
    IMAGINARY,
    INFINITY,
    REALS,
    Formula,
    Lettered,
    Rational,
    Spelling,
    Symbol,
    Unreadable,
    Value,
    Words,
)

MAX_DEPTH = 100
"""Levels of values within values, two for each function."""

_CARDINALS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
    "twenty",
)  # fmt: skip
_PHRASES: dict[str, Value] = {
    **{word: Rational(Fraction(value)) for value, word in enumerate(_CARDINALS)},
    "one half": Rational(Fraction(1, 2)),
    "none": EMPTY,
    "no solution": EMPTY,
    "no solutions": EMPTY,
    "no real solution": EMPTY,
    "no real solutions": EMPTY,
    "empty set": EMPTY,
    "the empty set": EMPTY,
    "infinity": INFINITY,
    "all real numbers": REALS,
    "all reals": REALS,
    "the real numbers": REALS,
}
_CHOICE = re.compile(
    r"\(([A-H])\)[.:]?\s*(?![-+*/^=<>,_(!]|\\(?:cup|cap|cdot|times|setminus|subset)\b)(.+)"
    r"|([A-H])\)\s*(.+)|([A-H])[.:]\s+(.+)",
    re.DOTALL,
)
_LABELLED = re.compile(r"(?:(?:option|choice|answer)\s+)?\(?([A-Za-z])\)?\.?", re.IGNORECASE)
_OUT_OF = re.compile(r"(\d+) (?:out of|in) (\d+)")
_NEGATED = re.compile(r"(?:negative|minus) ([\d.\\(].*)", re.IGNORECASE | re.DOTALL)


@lru_cache(maxsize=8192)
def read(answer: str) -> Value:
    """What an answer says."""
    if len(answer) > MAX_ANSWER:
        return Spelling(answer.strip())
    text = reference(answer)
    text = normalise(undelimited(text) if r"\begin" in text else text)
    if not text:
        return Spelling("")
    said = plain(text)
    if (known := _PHRASES.get(said.casefold())) is not None:
        return known
    if (choice := _CHOICE.fullmatch(said)) is not None:
        letter, content = (group for group in choice.groups() if group is not None)
        return Lettered(letter, read(content))
    if (label := _LABELLED.fullmatch(said)) is not None:
        return Words(label[1], _constant(label[1]))
    if (negated := _NEGATED.fullmatch(said)) is not None:
        return read("-" + negated[1])
    if (odds := _OUT_OF.fullmatch(said)) is not None and int(odds[2]):
        return Rational(Fraction(int(odds[1]), int(odds[2])))
    words = words_of(text, said)
    if words is not None:
        return words
    try:
        value = StatementReader(text).answer(tokenise(text)[:-1])
        _check_depth(value)
        return value
    except (Unreadable, RecursionError):
        return Spelling(compact(text).casefold() if "\\" not in text else compact(text))


def _check_depth(value: object, depth: int = 0) -> None:
    """Raise ``Unreadable`` for what is nested too deeply to be worked on."""
    if depth > MAX_DEPTH:
        raise Unreadable
    if isinstance(value, tuple):
        for each in value:
            _check_depth(each, depth + 1)
    elif is_dataclass(value):
        for each in fields(value):
            _check_depth(getattr(value, each.name), depth + 1)


def _constant(letter: str) -> Formula:
    return {"e": EULER, "i": IMAGINARY}.get(letter, Symbol(letter))
