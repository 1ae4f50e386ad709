r"""Answers as values: from text, LaTeX or plain, to ``terms``.

An answer is read as a whole, or it is a ``Spelling``, which equals nothing but itself. Units are
taken off numbers only, ``\text{…}`` keeps its meaning, and words are not products.
"""

import re
from dataclasses import fields, is_dataclass
from fractions import Fraction
from functools import lru_cache, reduce
from typing import Literal

from orchestrator.tasks.math.boxes import reference
from orchestrator.tasks.math.delimiters import undelimited
from orchestrator.tasks.math.formulas import FormulaReader
from orchestrator.tasks.math.latex import END, MAX_ANSWER, TEXT, compact, normalise, plain
from orchestrator.tasks.math.shapes import (
    combine,
    finished,
    formula,
    is_formula,
    listed,
    symbols,
    without_degrees,
)
from orchestrator.tasks.math.terms import (
    EMPTY,
    EULER,
    IMAGINARY,
    INFINITY,
    REALS,
    Apply,
    Brackets,
    Choice,
    Combination,
    Congruence,
    Formula,
    Interval,
    Named,
    Number,
    Quantity,
    Ratio,
    Relation,
    Sequence,
    Spelling,
    Symbol,
    Value,
    Words,
    multiply,
    negative,
)
from orchestrator.tasks.math.tokens import NAMES, Token, Unreadable, split, tokenise
from orchestrator.tasks.math.units import SCALES, unit

MAX_DEPTH = 100
"""Levels of values within values, two for each function."""

_CARDINALS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
    "twenty",
)  # fmt: skip
_PHRASES: dict[str, Value] = {
    **{word: Number(Fraction(value)) for value, word in enumerate(_CARDINALS)},
    "one half": Number(Fraction(1, 2)),
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
_WORDS = re.compile(r"[^\W\d_]+(?:(?: |-|')[^\W\d_]+)*\.?")
_MARKED = re.compile(f"{TEXT}[^{END}]*{END}")
_UNKNOWN = re.compile(
    r"(?:[A-Za-z]|\\?(?:alpha|beta|gamma|delta|theta|lambda|mu|phi|omega|rho|sigma|tau|ell))"
    r"(?:_(?:\{[^{}]*\}|\w))?'*(?:\^\{-1\})?(?:\([^()]*\))?"
)
_POINT = re.compile(r"\([A-Za-z](?:_\w|_\{\w\})?(?:,[A-Za-z](?:_\w|_\{\w\})?)+\)")
_TOTAL = re.compile(r"[A-Za-z](?:[+-]?[A-Za-z])+")
_DERIVATIVE = re.compile(r"\\frac\{d\w*\}\{d\w+\}|d\w/d\w")
_OF_UNKNOWN = re.compile(
    r"\\?(?:sin|cos|tan)[({ ]*\\?[A-Za-z]+[)}]?|m?\\angle ?[A-Z]+|\|[A-Z]{2}\|"
)
_NOT_NAMES = ("e", "i", "\\pi", "pi")
_RELATIONS = ("=", "<", ">", "<=", ">=", "!=", r"\in", r"\equiv")
_LOGICAL = {r"\land": "and", r"\lor": "or"}
_ORDER: dict[bool, Literal["<", "<="]] = {False: "<", True: "<="}
_BRACKETS: dict[tuple[bool, bool], Brackets] = {
    (False, False): "()",
    (False, True): "(]",
    (True, False): "[)",
    (True, True): "[]",
}
"""By which ends belong to an interval."""

_CURRENCIES = {"$": "dollar", "€": "euro", "£": "pound", "¥": "yen"}
_AFTER_VALUE = (")", "}", "]", "!", r"\circ", "|")


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
        return Choice(letter, read(content))
    if (label := _LABELLED.fullmatch(said)) is not None:
        return Words(label[1], _constant(label[1]))
    if (negated := _NEGATED.fullmatch(said)) is not None:
        return read("-" + negated[1])
    if (odds := _OUT_OF.fullmatch(said)) is not None and int(odds[2]):
        return Number(Fraction(int(odds[1]), int(odds[2])))
    words = _words(text, said)
    if words is not None:
        return words
    try:
        value = Reader(text).answer(tokenise(text)[:-1])
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


def _words(text: str, said: str) -> Words | None:
    """Words where the answer is nothing else, each letter of a product where it may be one."""
    if not _WORDS.fullmatch(said):
        return None
    runs = re.findall(r"[^\W\d_]+", said)
    is_marked = text != said
    if is_marked and re.search(r"(?:^|\W)[^\W\d_](?:\W|$)", _MARKED.sub(" ", text)):
        return None  # x \text{ cm}
    if not is_marked:
        if all(len(run) == 1 for run in runs):
            return None
        try:
            if len(runs) == 1 and len(said) <= 3 and said not in NAMES:
                return Words(said, formula(FormulaReader(tokenise(said)[:-1], _none).whole()))
            if any(token.kind == "name" for token in tokenise(said)):
                return None  # \sin x, \pi r
        except Unreadable:
            pass
    elif len(runs) == 1 and tokenise(text)[0].kind == "name":
        return None
    return Words(" ".join(said.rstrip(".").split()))


def _none(tokens: list[Token]) -> Value:
    raise Unreadable


class Reader:
    """Reads the tokens of one text."""

    def __init__(self, text: str) -> None:
        self._text = text

    def answer(self, tokens: list[Token]) -> Value:
        """A statement, or several in a list. Raises ``Unreadable``."""
        parts, joints = _items(tokens)
        if len(parts) == 1:
            return self.statement(parts[0])
        values = [self._item(part) for part in parts]
        return _joined(values, joints)

    def _item(self, tokens: list[Token]) -> Value:
        """One of several: words and dates are read as such."""
        source = self._source(tokens)
        if (words := _words(source, plain(source))) is not None:
            return words
        try:
            return self.statement(tokens)
        except Unreadable:
            if all(token.text == "..." for token in tokens):
                return Words("...")
            if any(token.kind == "text" for token in tokens):
                return Words(plain(source))
            raise

    def statement(self, tokens: list[Token]) -> Value:
        """An equation, inequality or value. Raises ``Unreadable``."""
        exact, *rounded = split(tokens, "≈")
        if rounded and not exact:
            return self.value(rounded[-1])
        if rounded:  # √2 ≈ 1.414 says √2, x ≈ 1.414 what x is
            if self._is_name(exact):
                return self._named(exact, self.value(rounded[-1]))
            return self.statement(exact)
        sides = split(tokens, *_RELATIONS)
        operators = _operators(tokens)
        if not operators:
            return self.value(tokens)
        if set(operators) == {"="}:
            return self._equation(sides)
        if len(operators) == 1 and operators[0] in (r"\in", r"\equiv"):
            return self._named(sides[0], self.value(sides[1]))
        if len(operators) == 1 and operators[0] == "!=":
            excluded = [formula(each) for each in listed(self.value(sides[1]))]
            if self._is_name(sides[0]) and not any(map(symbols, excluded)):
                others = combine("difference", REALS, Sequence("{}", tuple(excluded)))
                return self._named(sides[0], others)
            return Relation("!=", *(formula(self.value(side)) for side in sides))
        return self._inequality(sides, operators)

    def _equation(self, sides: list[list[Token]]) -> Value:
        value = self._readable(sides[-1])
        if isinstance(value, Spelling):
            raise Unreadable
        names = [side for side in sides[:-1] if self._is_name(side)]
        if names:
            return self._named(names[0], value)
        if len(sides) == 2 and self._is_name(sides[1]):
            return self._named(sides[1], self.value(sides[0]))
        if self._is_total(sides[0]) and isinstance(value, Number) and value.value:
            return self._named(sides[0], value)
        formulas = [formula(without_degrees(self.value(side))) for side in sides]
        if not any(map(symbols, formulas)):
            return value
        if len(formulas) != 2:
            raise Unreadable
        return Relation("=", *formulas)

    def _readable(self, tokens: list[Token]) -> Value:
        try:
            return self.value(tokens)
        except Unreadable:
            source = self._source(tokens)
            words = _words(source, plain(source))
            return words or Spelling("")

    def _inequality(self, sides: list[list[Token]], operators: list[str]) -> Value:
        if all(each in (">", ">=") for each in operators):
            sides, operators = sides[::-1], [each.replace(">", "<") for each in operators[::-1]]
        if not all(each in ("<", "<=") for each in operators) or len(sides) > 3:
            raise Unreadable
        values = [formula(without_degrees(self.value(side))) for side in sides]
        closed = ["=" in operator for operator in operators]
        if len(sides) == 3:
            if self._is_name(sides[1]) and not symbols(values[0]) | symbols(values[2]):
                ends = Interval(_BRACKETS[closed[0], closed[1]], values[0], values[2])
                return self._named(sides[1], ends)
            return combine(
                "intersection",
                Relation(_ORDER[closed[0]], values[0], values[1]),
                Relation(_ORDER[closed[1]], values[1], values[2]),
            )
        low, high = values
        if self._is_name(sides[0]) and not symbols(high):
            below = Interval(_BRACKETS[False, closed[0]], negative(INFINITY), high)
            return self._named(sides[0], below)
        if self._is_name(sides[1]) and not symbols(low):
            above = Interval(_BRACKETS[closed[0], False], low, INFINITY)
            return self._named(sides[1], above)
        return Relation(_ORDER[closed[0]], low, high)

    def _named(self, name: list[Token], value: Value) -> Named:
        try:
            subject: Formula | None = formula(self.value(name))
        except Unreadable:
            subject = None
        return Named(compact(self._source(name)), subject, value)

    def _is_name(self, tokens: list[Token]) -> bool:
        """Whether a side is what the other one is the value of: an unknown, a function, words."""
        source = self._source(tokens)
        name = compact(source)
        if not name or name in _NOT_NAMES:
            return False
        if any(pattern.fullmatch(name) for pattern in (_UNKNOWN, _POINT, _DERIVATIVE, _OF_UNKNOWN)):
            return True
        parts = split(tokens, ":")
        if len(parts) > 1:
            return all(map(self._is_name, parts))
        said = plain(source)
        return _WORDS.fullmatch(said) is not None and (
            any(token.kind == "text" for token in tokens) or said.isupper()
        )

    def _is_total(self, tokens: list[Token]) -> bool:
        """A sum or product of unknowns is what is asked for at times; an equation, at others."""
        return _TOTAL.fullmatch(compact(self._source(tokens))) is not None

    def _source(self, tokens: list[Token]) -> str:
        return self._text[tokens[0].start : tokens[-1].end] if tokens else ""

    def value(self, tokens: list[Token]) -> Value:
        """A value with its unit, where it has one. Raises ``Unreadable``."""
        if not tokens:
            raise Unreadable
        sign = 1 if tokens[0].text == "-" else 0
        if len(tokens) > sign + 1 and tokens[sign].text in _CURRENCIES:
            value = self.value(tokens[:sign] + tokens[sign + 1 :])
            bare = value.value if isinstance(value, Quantity) else value
            return Quantity(bare, _CURRENCIES[tokens[sign].text])
        for start in range(max(1, len(tokens) - 12), len(tokens)):
            if (found := self._with_unit(tokens, start)) is not None:
                return found
        return finished(self._unitless(tokens))

    def _with_unit(self, tokens: list[Token], start: int) -> Value | None:
        """The value of the tokens before ``start``, where those from there on are a unit."""
        unit_tokens, last = tokens[start:], tokens[start - 1]
        if (
            unit_tokens[0].kind not in ("text", "letter", "name")
            and unit_tokens[0].text not in "%¢"
        ):
            return None
        if unit_tokens[0].kind == "letter" and last.kind == "letter":
            return None
        is_text = unit_tokens[0].is_text or unit_tokens[0].kind == "text" or last.text == r"\circ"
        is_number = (
            last.kind == "number" or last.text in _AFTER_VALUE or last.text in ("pi", r"\pi")
        )
        if not (is_number or (is_text and last.kind in ("letter", "name"))):
            return None
        phrase = re.sub(r"[{}]", "", plain(self._source(unit_tokens)))
        words = phrase.split()
        factor = SCALES.get(words[0].casefold()) if words else None
        name = unit(" ".join(words[1:] if factor else words), is_text=is_text) if words else None
        if name is None and not (factor and len(words) == 1):
            return None
        try:
            value = finished(self._unitless(tokens[:start]))
        except Unreadable:
            return None
        if isinstance(value, Quantity) and value.unit == "degree":
            value = value.value  # \circ C
        if not is_text and isinstance(value, Symbol | Apply) and symbols(value):
            return None
        if factor:
            if not isinstance(value, Number | Symbol | Apply):
                return None
            value = multiply(value, Number(Fraction(factor)))
        return value if name is None else Quantity(value, name)

    def _unitless(self, tokens: list[Token]) -> Value:
        parts = split(tokens, ":", "to")
        if len(parts) > 1:
            found = tuple(formula(finished(self._unitless(part))) for part in parts)
            is_clock = (
                len(parts) == 2
                and all(len(part) == 1 and part[0].text.isdigit() for part in parts)
                and len(parts[0][0].text) <= 2
                and len(parts[1][0].text) == 2
            )
            return Ratio(found, is_clock)
        parts = split(tokens, "mod")
        if len(parts) == 2:
            residue, modulus = (formula(self._unitless(part)) for part in parts)
            return Congruence(residue, modulus)
        return FormulaReader(tokens, self.statement).whole()


def _operators(tokens: list[Token]) -> list[str]:
    """The relations between the sides, in order."""
    found, at = [], -1
    for side in split(tokens, *_RELATIONS)[:-1]:
        at += len(side) + 1
        found.append(tokens[at].text)
    return found


def _items(tokens: list[Token]) -> tuple[list[list[Token]], list[str]]:
    """The items of a list and the words or signs between them: ``, and`` is one."""
    parts = split(tokens, ",", ";", "and", "or", *_LOGICAL)
    joints, kept, at = [], [parts[0]], len(parts[0])
    for part in parts[1:]:
        joint = tokens[at].text
        if kept[-1]:
            joints.append(joint)
            kept.append(part)
        else:
            joints[-1:] = [joint]
            kept[-1] = part
        at += len(part) + 1
    if not all(kept):
        raise Unreadable
    return kept, joints


def _joined(values: list[Value], joints: list[str]) -> Value:
    if not _LOGICAL.keys().isdisjoint(joints):
        if any(map(is_formula, values)):
            raise Unreadable  # p \lor q is no list
        joints = [_LOGICAL.get(joint, joint) for joint in joints]
    names = [value.name if isinstance(value, Named) else None for value in values]
    first = values[0]
    if isinstance(first, Named) and all(name in (None, first.name) for name in names):
        bare = [value.value if isinstance(value, Named) else value for value in values]
        return Named(first.name, first.subject, _united(bare, joints))
    if names[0] is None and names[-1] is not None and all(name is None for name in names[:-1]):
        raise Unreadable
    return _united(values, joints)


def _united(values: list[Value], joints: list[str]) -> Value:
    numbers = {each.value for each in values if isinstance(each, Number)}
    if set(joints) == {"or"} and len(numbers) == 1 and all(isinstance(v, Number) for v in values):
        return values[0]  # 1/2 or 0.5
    if any(isinstance(each, Interval | Combination | Relation) for each in values):
        sets = [Sequence("{}", (each,)) if isinstance(each, Number) else each for each in values]
        if set(joints) == {"or"}:
            return reduce(lambda a, b: combine("union", a, b), sets)
        if set(joints) == {"and"}:
            return reduce(lambda a, b: combine("intersection", a, b), sets)
    return Sequence("", tuple(each for value in values for each in listed(value)))
