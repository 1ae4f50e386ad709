"""Expressions within sentences: "so the area is 5\\pi square cm" has 5\\pi.

A sentence falls into words and runs of mathematics. A run is taken as a whole, with the words that
change what it means (million, p.m., at most), or not at all.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from orchestrator.tasks.math.latex import is_balanced
from orchestrator.tasks.math.statements import read
from orchestrator.tasks.math.terms import Spelling, words
from orchestrator.tasks.math.tokens import NAMES

MATH = (
    r"\$\$(?:[^$\\]|\\.)*\$\$|\$(?:[^$\\]|\\.)*\$|\\\[(?:(?!\\\]).)*\\\]|\\\((?:(?!\\\)).)*\\\)"
    r"|\\begin\{(?P<environment>[a-z]+\*?)\}(?:(?!\\end\{).)*\\end\{[a-z]+\*?\}"
)
"""Formulas as LaTeX sets them apart."""

_PIECE = re.compile(
    rf"(?P<math>{MATH})"
    r"|(?P<name>[A-Za-z]\w*\d\w*(?<!_\d))(?![\w^{(])"
    r"|(?P<text>\\(?:text|mathrm|textbf|mbox)\ ?\{[^{}]*\}(?:\^\{?\d\}?)?)"
    r"|(?P<time>[ap]\.m\.?(?![a-z]))"
    r"|(?P<word>[^\W\d_]+(?:['’-][^\W\d_]+)*)"
    r"|(?P<expression>\\[A-Za-z]+|\\[{}%$,!;: ]|\d+(?:[.,]\d+)*|\.\d+"
    r"|[-+*/^_=<>()\[\]{}|!:%√±≤≥≠×·÷π∞°∪∩€£¥¢½⅓¼¾²³'])"
    r"|(?P<currency>\$)"
    r"|(?P<comma>[,;])"
    r"|(?P<space>\s+)"
    r"|(?P<other>.)",
    re.DOTALL,
)
_DASHES = str.maketrans("−–‐‑", "----")
_WORD_IN_MATH = re.compile(r"(?<![\\A-Za-z{])[A-Za-z]{3,}(?![A-Za-z}])")
_ARTICLES = ("a", "A", "I")
_LEADING = words(
    "the a an then thus so therefore hence approximately about exactly equal equals to given by be"
    " simply just only point points number value values pair set interval ordered following"
    " expression option choice either both is are found indeed clearly of area volume sum product"
    " total probability length result answer fraction vector matrix function polynomial equation"
    " line numbers pairs triple form now also actually in at it"
)
_CLAUSES = frozenset(("sum", "product", "of", "in", "at"))
_LABELS = words(
    "step case part problem question equation figure table page line section chapter example"
    " theorem lemma attempt method option exercise item phase stage number no task"
)
_CHANGING = words(
    "more less fewer greater smaller larger east west north south profit loss gain dozen hundred"
    " thousand million billion trillion am pm above below up down older younger faster slower"
    " mod"
)
_MODIFIERS = re.compile(
    r"(?:\b(?:at most|at least|no more than|no less than|less than|more than|fewer than"
    r"|greater than|not|non|negative|minus|under|over|up to|almost|nearly)) *$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Run:
    """An expression at ``start`` to ``end`` of a sentence; ``label`` where it only numbers."""

    text: str
    start: int
    end: int
    before: str
    is_label: bool
    is_formula: bool


Kind = Literal["expression", "word", "joint", "comma", "break"]


def runs(sentence: str) -> list[Run]:
    """The expressions of a sentence, in order."""
    found: list[Run] = []
    sentence = sentence.translate(_DASHES)
    pieces = _pieces(sentence)
    i = 0
    while i < len(pieces):
        if pieces[i].kind != "expression":
            i += 1
            continue
        j = i
        k = i + 1
        while k < len(pieces):
            if pieces[k].kind == "expression":
                j = k
            elif pieces[k].kind not in ("joint", "comma"):
                break
            k += 1
        run = _run(sentence, pieces, i, j)
        if run is not None:
            found.append(run)
        i = j + 1
    return found


@dataclass(frozen=True, slots=True)
class _Piece:
    kind: Kind
    text: str
    start: int
    end: int
    is_formula: bool = False


def _pieces(sentence: str) -> list[_Piece]:
    found: list[_Piece] = []
    position = 0
    while position < len(sentence):
        match = _PIECE.match(sentence, position)
        assert match is not None
        if match["math"] and _is_prose(match["math"]):
            end = position + 1  # dollars that are money
            found.append(_Piece("expression", sentence[position:end], position, end))
            position = end
            continue
        position = match.end()
        kind = _kind(match, sentence)
        if kind is not None:
            found.append(_Piece(kind, match[0], match.start(), match.end(), bool(match["math"])))
    return found


_DELIMITER = re.compile(
    r"(?P<begin>\\begin\{[a-z]+\*?\})|(?P<end>\\end\{[a-z]+\*?\})|\$\$|\$|\\.", re.DOTALL
)
_CLOSES = {"$": "$", "$$": "$$", r"\)": r"\(", r"\]": r"\["}


def formula_at(text: str, position: int) -> tuple[int, int] | None:
    """Where the formula around a position starts and ends, in linear time; None outside of any."""
    opened: dict[str, int] = {}
    environments = 0
    for match in _DELIMITER.finditer(text):
        token = match[0]
        opening = _CLOSES.get(token)
        if match["begin"]:
            environments += 1
            opened.setdefault("begin", match.start())
        elif match["end"] and environments:
            environments -= 1
            start = opened["begin"]
            if not environments:
                del opened["begin"]
                if start <= position < match.end():
                    return start, match.end()
        elif opening in opened:
            start = opened.pop(opening)
            if token == "$" and _is_prose(text[start : min(match.end(), start + 500)]):
                opened["$"] = match.start()  # the one before was money
            elif start <= position < match.end():
                return start, match.end()
        elif token in ("$", "$$", r"\(", r"\["):
            opened[token] = match.start()
        if match.start() > position and not opened:
            return None
    return None


def _is_prose(formula: str) -> bool:
    """Whether two dollars are money with words between them: $200 and $."""
    if not formula.startswith("$") or formula.startswith("$$"):
        return False
    bare = re.sub(r"\\[A-Za-z]+(?: ?\{[^{}]*\})?", "", formula)
    return re.match(r"\$\d.* \$", bare) is not None or _WORD_IN_MATH.search(bare) is not None


def _kind(match: re.Match[str], sentence: str) -> Kind | None:
    match match.lastgroup:
        case "math" | "environment" | "expression" | "currency":
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
    return "word" if match.lastgroup in ("name", "time") else "break"


def _kind_of_word(word: str, sentence: str, start: int, end: int) -> Kind:
    if word in ("and", "or"):
        return "joint"
    if word in NAMES and word not in (
        "to",
        "mod",
        "max",
        "min",
        "sign",
        "product",
        "sum",
        "arg",
        "re",
    ):
        return "expression"
    near = sentence[max(0, start - 2) : start] + sentence[end : end + 2]
    touches = re.search(r"[-\d+*/^_=<>(){}|!']", near) is not None
    if len(word) == 1:
        return "expression" if touches and (word not in _ARTICLES or "=" in near) else "word"
    glued = sentence[start - 1 : start].isdigit() or sentence[end : end + 1] in ("^", "_", "(")
    return "expression" if len(word) <= 3 and glued else "word"


def _run(sentence: str, pieces: Sequence[_Piece], first: int, last: int) -> Run | None:
    start, end = pieces[first].start, pieces[last].end
    text = sentence[start:end]
    is_formula = any(piece.is_formula for piece in pieces[first : last + 1])
    line = sentence[:start].rpartition("\n")[2]
    before = pieces[first - 1] if first else None
    is_label = (
        before is not None and before.kind == "word" and before.text.casefold() in _LABELS
    ) or (not line.strip("*# ") and re.match(r"\d+[.)]\s", sentence[start:]) is not None)
    if not line.strip() and re.match(r"[-*] ", text):
        text = text[2:]
    text, start = _changed(sentence, text.strip(), start, end)
    return Run(text, start, end, sentence[:start], is_label, is_formula)


def _changed(sentence: str, text: str, start: int, end: int) -> tuple[str, int]:
    """With the words around it that change its meaning."""
    after = re.match(r" ?((?:[ap]\.m\b\.?)|[A-Za-z]+)", sentence[end:])
    if after and after[1].casefold().rstrip(".") in (*_CHANGING, "a.m", "p.m"):
        text = f"{text} {after[1]}"
    if before := _MODIFIERS.search(sentence[:start]):
        modifier = before[0].strip().casefold()
        sign = "-" if modifier in ("negative", "minus") else f"{modifier} "
        return sign + text, before.start()
    return text, start


def chosen(sentence: str) -> Run | None:
    """The expression a sentence is about: the first where only filler stands before it, else the
    last; none that labels something."""
    found = [run for run in runs(sentence) if not run.is_label and _has_value(run)]
    if not found:
        return None
    lead = re.findall(r"[^\W\d_]+", found[0].before)
    return (
        found[0]
        if all(word.casefold() in _LEADING for word in lead)
        and not (len(found) > 1 and not _CLAUSES.isdisjoint(word.casefold() for word in lead))
        else found[-1]
    )


def _has_value(run: Run) -> bool:
    return run.is_formula or re.search(r"\d|\\|[√π∞½⅓¼¾]", run.text) is not None


def tidied(run: Run) -> str | None:
    """The run as an answer; None where it is not to be read as one expression."""
    text = undelimited(run.text)
    text = text.strip().strip(",;:*").strip()
    text = re.sub(r"^[=+*/<>≈:$]+|[-=+*/<>≈^_(\[{:]+$", "", text).strip().rstrip("\\")
    for opening, closing in ("()", "[]"):
        if text.startswith(opening) and closing not in text and "]" not in text and ")" not in text:
            text = text[1:]
        if text.endswith(closing) and opening not in text and "(" not in text and "[" not in text:
            text = text[:-1]
    text = text.strip()
    if re.fullmatch(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?", text):
        return text.replace(",", "")
    if not text or not is_balanced(text):
        return None
    if isinstance(read(text), Spelling) and not run.is_formula and not _says_more(text):
        return None
    return text


def _says_more(text: str) -> bool:
    """Whether words that change its meaning are why it cannot be read."""
    return re.search(r"[A-Za-z]{2}", text) is not None and "\\" not in text


def undelimited(text: str) -> str:
    r"""Without the dollars and brackets of formulas."""

    def inner(match: re.Match[str]) -> str:
        formula = match[0]
        if match["environment"] or _is_prose(formula):
            return formula
        width = 2 if formula.startswith(("$$", "\\")) else 1
        return f" {formula[width:-width].strip()} "

    return re.sub(MATH, inner, text, flags=re.DOTALL)
