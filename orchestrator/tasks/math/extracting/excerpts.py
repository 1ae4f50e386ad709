r"""Expressions within sentences: "so the area is 5\pi square cm" has 5\pi.

A sentence falls into words and runs of mathematics. A run is taken as a whole, with the words that
change what it means (million, p.m., at most), or not at all.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from orchestrator.tasks.math.reading.answers import read
from orchestrator.tasks.math.reading.delimiters import MATH, is_prose, last_formula, undelimited
from orchestrator.tasks.math.reading.units import unit
from orchestrator.tasks.math.terms import NAMED_FUNCTIONS, Relation, Spelling, words

_PIECE = re.compile(
    rf"(?P<math>{MATH})"
    r"|(?P<ordinal>\d+(?:st|nd|rd|th)\b)"
    r"|(?P<name>(?<!\d)[A-Za-z]\w*\d\w*(?<!_\d))(?![\w^{(])"
    r"|(?P<text>\\(?:text|mathrm|textbf|mbox)\ ?\{[^{}]*\}(?:\^\{?\d\}?)?)"
    r"|(?P<word>[ap]\.m\.?(?![a-z])|[^\W\d_]+(?:['’-][^\W\d_]+)*)"
    r"|(?P<expression>\\[A-Za-z]+|\\[{}%$,!;: ]|\d+(?:[.,]\d+)*|\.\d+"
    r"|[-+*/^_=<>()\[\]{}|!:%$√±≤≥≠≈×·÷π∞°∪∩∈€£¥¢½⅓¼¾²³'])"
    r"|(?P<comma>[,;])"
    r"|(?P<space>\s+)"
    r"|(?P<other>.)",
    re.DOTALL,
)
_DASHES = str.maketrans("−–‐‑", "----")
_OPERATORS = r"[-+*/^_=<>(){}|!'√±≤≥≠≈×·÷π∪∩∈]"
_ARTICLES = ("a", "A", "I")
_FUNCTIONS = NAMED_FUNCTIONS - words("max min floor") | words("pi")
_RATIO = re.compile(r"\b(?:ratio|odds|probability|chances?)\b", re.IGNORECASE)
_LEADING = words(
    "the a an then thus so therefore hence approximately about exactly equal equals to given by be"
    " simply just only point points number numbers value values pair triple set interval ordered"
    " following expression option choice either both is are found indeed clearly of area volume"
    " sum product total probability length result answer fraction vector matrix function polynomial"
    " equation line form now also actually in at it"
)
_DESCRIBING = words("sum product of in at")
_LABELS = words(
    "step case part problem question equation figure table page line section chapter example"
    " theorem lemma attempt method option exercise item phase task"
)
_CHANGING = words(
    "more less fewer greater smaller larger east west north south profit loss gain dozen hundred"
    " thousand million billion trillion am pm a.m p.m above below up down older younger faster"
    " slower mod"
)
_MODIFIERS = re.compile(
    r"\b(?:at most|at least|no more than|no less than|less than|more than|fewer than|greater than"
    r"|not|cannot be|negative|minus|under|over|up to|almost|nearly|between|from) *$",
    re.IGNORECASE,
)
_UNFINISHED = re.compile(r"[\w)}] ?[+/^_×÷±]\s*$")
_TAKES_MORE = re.compile(r"[A-Za-z^_]$|[-+*/=<>] ?$")
_LEADS = r"\\(?:q?quad|Rightarrow|implies|Longrightarrow|therefore|equiv|approx|to)(?![A-Za-z])\s*"

PieceKind = Literal["expression", "word", "unit", "joint", "comma", "break"]


@dataclass(frozen=True, slots=True)
class Excerpt:
    """An expression of a sentence, what stands ``before`` it, and whether it only labels
    something (step 2). ``is_formula`` where LaTeX sets it apart."""

    text: str
    before: str
    is_label: bool
    is_formula: bool


@dataclass(frozen=True, slots=True)
class _Piece:
    kind: PieceKind
    text: str
    start: int
    end: int
    is_formula: bool = False


def excerpts(sentence: str) -> list[Excerpt]:
    """The expressions of a sentence, in order."""
    sentence = sentence.translate(_DASHES)
    pieces = _pieces(sentence)
    found: list[Excerpt] = []
    first = 0
    while first < len(pieces):
        last = first
        if pieces[first].kind == "expression":
            last = _last_piece(pieces, first)
            found.append(_excerpt(sentence, pieces, first, last))
        first = last + 1
    return found


def chosen(sentence: str) -> Excerpt | None:
    """The expression a sentence is about: the first where only filler stands before it, else the
    last; none that labels something."""
    found = [
        excerpt for excerpt in excerpts(sentence) if not excerpt.is_label and _has_value(excerpt)
    ]
    if not found:
        return None
    lead = {word.casefold() for word in re.findall(r"[^\W\d_]+", found[0].before)}
    describes = len(found) > 1 and not _DESCRIBING.isdisjoint(lead)
    return found[0] if lead <= _LEADING and not describes else found[-1]


def tidied(excerpt: Excerpt) -> str | None:
    """The excerpt as an answer; None where it is not to be read as one expression."""
    text = _trimmed(undelimited(excerpt.text))
    if re.fullmatch(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?", text):
        return text.replace(",", "")
    if not text:
        return None
    value = read(text)
    if not isinstance(value, Spelling | Relation):
        return text
    if len(items := _split(text, ",")) > 1:  # n^2 = 16, n = 4
        return tidied(replace(excerpt, text=items[-1]))
    sides = _split(text, "=")
    is_calculation = re.search(r"[A-Za-z]", re.sub(r"\\[A-Za-z]+", "", sides[0])) is None
    if len(sides) > 2 or (len(sides) == 2 and is_calculation):  # 2y + 3 = 2 + 3 = 5
        return tidied(replace(excerpt, text=sides[-1]))
    if isinstance(value, Relation):
        return text
    if (formula := last_formula(excerpt.text)) is not None:
        return tidied(replace(excerpt, text=formula))
    if excerpt.is_formula:
        return text
    return text if re.search(r"[A-Za-z]{2}", text) and "\\" not in text else None


def _split(text: str, separator: str) -> list[str]:
    """The parts between separators that stand in no brackets."""
    parts, depth, start = [], 0, 0
    for i, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if character == separator and depth == 0 and text[i - 1 : i] not in ("<", ">", "\\"):
            parts.append(text[start:i])
            start = i + 1
    return [*parts, text[start:]]


def _has_value(excerpt: Excerpt) -> bool:
    return excerpt.is_formula or re.search(r"\d|\\|[√π∞½⅓¼¾]", excerpt.text) is not None


def _trimmed(text: str) -> str:
    """Without what ends or starts no expression: operators, brackets that have no other."""
    text = re.sub(r"\s*\((?:or|and)\b.*$| \([≈~=]? ?\d*\.\d+\)$", "", text)
    while True:
        before = text
        text = re.sub(rf"^(?:{_LEADS})+", "", text)
        if _UNFINISHED.search(text):
            return ""
        text = re.sub(r"^[=+*/<>≈:$,;\s]+|[-=+*/<>≈^_:,;\s\\]+$", "", text)
        text = text if text.endswith("..") else text.removesuffix(".")
        unmatched = _unmatched(text)
        if unmatched and (unmatched[-1] == len(text) - 1 or text[unmatched[-1]] in "([{"):
            is_cut_off = text[unmatched[-1]] in "([{"
            text = text[: unmatched[-1]]
            if is_cut_off and _TAKES_MORE.search(text):
                return ""
        elif unmatched and unmatched[0] == 0:
            text = text[1:]
        if text == before:
            return text


def _unmatched(text: str) -> list[int]:
    """Where brackets stand that have no other, an interval's two kinds being one."""
    opened: list[int] = []
    lonely: list[int] = []
    for i, character in enumerate(text):
        if character in "([{":
            opened.append(i)
        elif character in ")]}":
            curly = character == "}"
            if opened and (text[opened[-1]] == "{") == curly:
                opened.pop()
            else:
                lonely.append(i)
    return sorted(lonely + opened)


def _pieces(sentence: str) -> list[_Piece]:
    found: list[_Piece] = []
    position = 0
    while position < len(sentence):
        match = _PIECE.match(sentence, position)
        assert match is not None
        if match["math"] and is_prose(match["math"]):  # dollars that are money
            found.append(_Piece("expression", "$", position, position + 1))
            position += 1
            continue
        position = match.end()
        kind = _kind(match, sentence)
        if kind is not None:
            found.append(_Piece(kind, match[0], match.start(), match.end(), bool(match["math"])))
    return found


def _kind(match: re.Match[str], sentence: str) -> PieceKind | None:
    match match.lastgroup:
        case "math" | "environment" | "expression":
            return "expression"
        case "text":
            word = re.sub(r"\\\w+ ?\{|\}.*", "", match[0]).strip()
            return "joint" if word in ("and", "or") else "expression"
        case "word":
            return _kind_of_word(match[0], sentence, match.start(), match.end())
        case "comma":
            return "comma"
        case "space":
            return "break" if "\n" in match[0] else None
        case "name" | "ordinal":
            return "word"
    return "break"


def _kind_of_word(word: str, sentence: str, start: int, end: int) -> PieceKind:
    if word in ("and", "or"):
        return "joint"
    if word in ("to", "in") and _RATIO.search(sentence, 0, start):
        return "joint"
    if word in _FUNCTIONS:
        return "expression"
    beside = sentence[max(0, start - 1) : start] + sentence[end : end + 1]
    near = sentence[max(0, start - 2) : start] + sentence[end : end + 2]
    if len(word) == 1:
        touches = re.search(rf"\d|{_OPERATORS}", beside) or re.search(_OPERATORS, near)
        is_article = word in _ARTICLES and re.search(r"[-+=*/^\d]", near) is None
        return "expression" if touches and not is_article else "word"
    if len(word) <= 3 and re.search(r"[\d^_(]", beside):
        return "expression"
    return "unit" if word != "in" and unit(word, is_text=False) else "word"


def _last_piece(pieces: Sequence[_Piece], first: int) -> int:
    """The last piece of the excerpt that starts at ``first``. A list is one excerpt, and so is "5
    hours and 30 minutes"."""
    last = first
    has_units = False
    for i in range(first + 1, len(pieces)):
        kind = pieces[i].kind
        if kind == "expression":
            last = i
        elif kind == "unit" and (has_units or _joins(pieces, i + 1)):
            has_units = True
            last = i if pieces[i - 1].kind == "expression" and not _joins(pieces, i + 1) else last
        elif kind not in ("joint", "comma"):
            break
    return last


def _joins(pieces: Sequence[_Piece], i: int) -> bool:
    return i + 1 < len(pieces) and pieces[i].kind == "joint" and pieces[i + 1].kind == "expression"


def _excerpt(sentence: str, pieces: Sequence[_Piece], first: int, last: int) -> Excerpt:
    start, end = pieces[first].start, pieces[last].end
    text = sentence[start:end]
    if not sentence[:start].rpartition("\n")[2].strip():
        text = re.sub(r"^[-*] +", "", text)  # the mark of a list
    labels = first > 0 and pieces[first - 1].text.casefold() in _LABELS
    if labels or re.match(r"\d+[.)]\s", sentence[start:]):
        labelled = re.match(r"\d+(?:\.\d+)*\s*[.:)]\s*(?=\S)", text)
        is_label = labels if labelled is None else False
        text = text[labelled.end() :] if labelled else text
        if labelled is None and not labels:
            is_label = not sentence[:start].rpartition("\n")[2].strip("*# ")
    else:
        is_label = False
    is_formula = any(piece.is_formula for piece in pieces[first : last + 1])
    return Excerpt(
        _changed(sentence, text.strip(), start, end), sentence[:start], is_label, is_formula
    )


def _changed(sentence: str, text: str, start: int, end: int) -> str:
    """With the words around it that change its meaning."""
    after = re.match(r" ?([ap]\.m\b|[A-Za-z]+)", sentence[end:])
    if after and after[1].casefold() in _CHANGING:
        text = f"{text} {after[1]}"
    if before := _MODIFIERS.search(sentence[:start]):
        modifier = before[0].strip().casefold()
        return f"-{text}" if modifier in ("negative", "minus") else f"{modifier} {text}"
    return text
