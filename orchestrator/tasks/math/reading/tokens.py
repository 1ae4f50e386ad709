"""The tokens of an answer: numbers, names, letters that multiply, text, commands, symbols."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

from orchestrator.tasks.math.reading.latex import END, TEXT
from orchestrator.tasks.math.terms import NAMED_FUNCTIONS, words

TokenKind = Literal["number", "name", "letter", "text", "command", "symbol", "end"]


@dataclass(frozen=True, slots=True)
class Token:
    """``start`` and ``end`` are its place in the text; ``number`` is what a number is worth.

    A ``name`` is a run of letters with a meaning of its own, a ``letter`` one that multiplies.
    ``is_text`` marks what stood in ``\\text{…}``.
    """

    kind: TokenKind
    text: str
    start: int
    end: int
    number: Fraction | None = None
    is_decimal: bool = False
    is_spaced: bool = False
    is_text: bool = False


NAMES = {
    **{name: name for name in NAMED_FUNCTIONS},
    "asin": "arcsin", "acos": "arccos", "atan": "arctan", "ceil": "ceiling", "lg": "log",
    "tg": "tan", "ctg": "cot", "cosec": "csc", "Re": "re", "Im": "im",
    "pi": "pi", "infty": "oo", "infinity": "oo", "inf": "oo", "oo": "oo", "and": "and", "or": "or",
    "mod": "mod", "bmod": "mod", "to": "to",
    **{name: name for name in words("alpha beta gamma theta lambda phi omega")},
}  # fmt: skip
"""What runs of letters mean, as text, as a command or plain."""

_THOUSANDS = r"(?P<thousands>(?<![\d.,])\d{1,3}(?:,\d{3})+(?:\.\d+)?)(?![\d]|,\d)|"
_GRAMMAR = rf"""(?P<space>\s+)
    |(?P<repeating>(?P<whole>\d*)\.(?P<fixed>\d*)
        (?:\\(?:overline|bar|dot)\ ?\{{\ ?(?P<over>\d+)\ ?\}}|\\(?:overline|bar|dot)\ ?(?P<dot>\d)
        |\((?P<period>\d+)\)))
    |(?P<endless>\d*\.\d+)\ ?(?:\.\.\.|\\[lc]?dots(?![a-zA-Z]))
    |(?P<scientific>\d+(?:\.\d+)?[eE][+-]?\d{{1,3}})(?![\d.a-zA-Z])
    |(?P<groups>(?<![\d.,])\d{{1,3}}(?:\ \d{{3}})+(?![\d/]))
    |(?P<digits>\d+(?:\.\d+)?|\.\d+)
    |(?P<letters>[^\W\d_]+)
    |{TEXT}(?P<text>[^{END}]*){END}
    |(?P<environment>\\(?:begin|end)\ ?\{{[a-z]+\*?\}}(?:\{{[clr|\ ]*\}})?)
    |(?P<blackboard>\\mathbb\{{[A-Z]\}})
    |(?P<command>\\(?:[a-zA-Z]+|.))
    |(?P<dots>\.\.\.)
    |(?P<relation><=|>=|(?<=\s)!=|==|:=)
    |(?P<power>\*\*)
    |(?P<symbol>.)"""
_TOKEN = re.compile(_THOUSANDS + _GRAMMAR, re.VERBOSE | re.DOTALL)
_TOKEN_IN_LIST = re.compile(_GRAMMAR, re.VERBOSE | re.DOTALL)
_COMMANDS = {
    r"\leq": "<=", r"\le": "<=", r"\leqslant": "<=", r"\geq": ">=", r"\ge": ">=",
    r"\geqslant": ">=", r"\lt": "<", r"\gt": ">", r"\ne": "!=", r"\neq": "!=", r"\approx": "≈",
    r"\simeq": "≈", r"\cdot": "*", r"\times": "*", r"\ast": "*", r"\div": "/", r"\dots": "...",
    r"\ldots": "...", r"\cdots": "...", r"\vert": "|", r"\lvert": "|", r"\rvert": "|",
    r"\mid": "|", r"\wedge": r"\land", r"\vee": r"\lor",
    r"\colon": ":", r"\backslash": r"\setminus", r"\varphi": r"\phi", r"\brace": r"\}",
}  # fmt: skip
_PERIODS = re.compile(r"(\d*)\.(\d*?)(\d+?)\3+(\d*)")


def tokenise(text: str) -> list[Token]:
    """The tokens of a normalised text, and one that ends it. Raises ``Unreadable``."""
    found: list[Token] = []
    depth, is_spaced = 0, False
    has_spaced_commas = ", " in text
    position = 0
    while position < len(text):
        match = (_TOKEN if not depth or has_spaced_commas else _TOKEN_IN_LIST).match(text, position)
        assert match is not None
        position = match.end()
        if match.lastgroup == "space":
            is_spaced = True
            continue
        new = list(_read(match, is_spaced, found[-1] if found else None))
        depth += sum(each.text in ("(", "[", r"\{") for each in new)
        depth -= sum(each.text in (")", "]", r"\}") for each in new)
        found += new
        is_spaced = False
    return [*found, Token("end", "", len(text), len(text))]


def is_label(letters: str) -> bool:
    """Whether letters name something, so that their order counts: not for xy and kn."""
    return len(letters) == 1 or is_word(letters)


def is_word(letters: str) -> bool:
    """Whether a run of letters is a word or label rather than a product: not for xy and kn."""
    if len(letters) < 2:
        return False
    return len(letters) > 3 or not letters.islower() or not set("aeiou").isdisjoint(letters)


def _read(match: re.Match[str], is_spaced: bool, last: Token | None) -> Iterator[Token]:
    start, end, whole = match.start(), match.end(), match[0]

    def token(kind: TokenKind, text: str) -> Token:
        return Token(kind, text, start, end, is_spaced=is_spaced)

    def number(value: Fraction, is_decimal: bool) -> Token:
        return Token("number", whole, start, end, value, is_decimal, is_spaced)

    match match.lastgroup:
        case "repeating":
            period = match["over"] or match["dot"] or match["period"]
            yield number(_repeating(match["whole"], match["fixed"], period), False)
        case "endless":
            yield number(*_endless(match["endless"]))
        case "scientific":
            yield number(Fraction(whole), True)
        case "thousands" | "groups" | "digits":
            digits = whole.replace(",", "").replace(" ", "")
            yield number(Fraction(digits), "." in digits)
        case "letters":
            yield from _letters(whole, start, is_spaced, last)
        case "text":
            for each in _text(match["text"], match.start("text")):
                yield replace(each, is_spaced=is_spaced or each.is_spaced, is_text=True)
        case "command":
            name = _COMMANDS.get(whole, whole)
            if (known := NAMES.get(name.removeprefix("\\"))) is not None:
                yield token("name", known)
            else:
                yield token("command" if name[0] == "\\" else "symbol", name)
        case "environment":
            yield token("command", re.sub(r" |(?<=\})\{.*", "", whole))
        case "blackboard":
            yield token("command", whole)
        case _:
            yield token("symbol", {"==": "=", ":=": "=", "**": "^"}.get(whole, whole))


def _letters(letters: str, start: int, is_spaced: bool, last: Token | None) -> Iterator[Token]:
    end = start + len(letters)
    follows_number = last is not None and last.kind == "number"
    if letters in NAMES:
        yield Token("name", NAMES[letters], start, end, is_spaced=is_spaced)
    elif letters[:-1] in NAMED_FUNCTIONS:  # sinx
        yield Token("name", letters[:-1], start, end - 1, is_spaced=is_spaced)
        yield Token("letter", letters[-1], end - 1, end)
    elif (
        len(letters) > 3
        or (follows_number and is_spaced and is_word(letters))
        or (follows_number and letters in ("st", "nd", "rd", "th"))
    ):
        yield Token("text", letters, start, end, is_spaced=is_spaced)
    else:
        for i, letter in enumerate(letters, start=start):
            yield Token("letter", letter, i, i + 1, is_spaced=is_spaced and i == start)


def _text(content: str, start: int) -> Iterator[Token]:
    word = content.strip()
    at = start + content.index(word)
    if word in NAMES:
        yield Token("name", NAMES[word], at, at + len(word))
    elif len(word) == 1:
        yield Token("letter", word, at, at + 1)
    elif re.search(r"[\d,=<>]", word):
        for each in tokenise(content)[:-1]:
            yield replace(each, start=each.start + start, end=each.end + start)
    else:
        yield Token("text", word, at, at + len(word))


def _endless(digits: str) -> tuple[Fraction, bool]:
    """0.333… is 1/3 and 0.1212… is 4/33; 3.1415… is a rounded number."""
    repeats = _PERIODS.fullmatch(digits)
    if repeats and len(digits.partition(".")[2]) > 2 and repeats[3].startswith(repeats[4]):
        return _repeating(repeats[1], repeats[2], repeats[3]), False
    return Fraction(digits), True


def _repeating(whole: str, fixed: str, period: str) -> Fraction:
    scale = 10 ** len(fixed)
    return Fraction(int((whole or "0") + fixed or "0"), scale) + Fraction(
        int(period), scale * (10 ** len(period) - 1)
    )
