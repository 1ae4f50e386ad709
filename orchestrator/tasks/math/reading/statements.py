"""Statements: equations and inequalities, and whether they name a value or relate formulas."""

import re
from typing import Literal

from orchestrator.tasks.math.reading.cursor import split
from orchestrator.tasks.math.reading.latex import compact, plain
from orchestrator.tasks.math.reading.lists import items, joined
from orchestrator.tasks.math.reading.phrases import WORDS, words_of
from orchestrator.tasks.math.reading.quantities import ValueReader
from orchestrator.tasks.math.reading.tokens import Token
from orchestrator.tasks.math.shapes import combine, formula, listed, symbols, without_degrees
from orchestrator.tasks.math.terms import (
    INFINITY,
    REALS,
    Brackets,
    Formula,
    Listing,
    Named,
    Rational,
    RealInterval,
    Relation,
    Spelling,
    Unreadable,
    Value,
    Words,
    negative,
)

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
_ORDER: dict[bool, Literal["<", "<="]] = {False: "<", True: "<="}
_BRACKETS: dict[tuple[bool, bool], Brackets] = {
    (False, False): "()",
    (False, True): "(]",
    (True, False): "[)",
    (True, True): "[]",
}
"""By which ends belong to an interval."""


class StatementReader(ValueReader):
    """Reads the statements of one text."""

    def answer(self, tokens: list[Token]) -> Value:
        """A statement, or several in a list. Raises ``Unreadable``."""
        parts, joints = items(tokens)
        if len(parts) == 1:
            return self.statement(parts[0])
        values = [self._item(part) for part in parts]
        return joined(values, joints)

    def _item(self, tokens: list[Token]) -> Value:
        """One of several: words and dates are read as such."""
        source = self.source(tokens)
        if (words := words_of(source, plain(source))) is not None:
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
                others = combine("difference", REALS, Listing("{}", tuple(excluded)))
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
        if self._is_total(sides[0]) and isinstance(value, Rational) and value.value:
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
            source = self.source(tokens)
            words = words_of(source, plain(source))
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
                ends = RealInterval(_BRACKETS[closed[0], closed[1]], values[0], values[2])
                return self._named(sides[1], ends)
            return combine(
                "intersection",
                Relation(_ORDER[closed[0]], values[0], values[1]),
                Relation(_ORDER[closed[1]], values[1], values[2]),
            )
        low, high = values
        if self._is_name(sides[0]) and not symbols(high):
            below = RealInterval(_BRACKETS[False, closed[0]], negative(INFINITY), high)
            return self._named(sides[0], below)
        if self._is_name(sides[1]) and not symbols(low):
            above = RealInterval(_BRACKETS[closed[0], False], low, INFINITY)
            return self._named(sides[1], above)
        return Relation(_ORDER[closed[0]], low, high)

    def _named(self, name: list[Token], value: Value) -> Named:
        try:
            subject: Formula | None = formula(self.value(name))
        except Unreadable:
            subject = None
        return Named(compact(self.source(name)), subject, value)

    def _is_name(self, tokens: list[Token]) -> bool:
        """Whether a side is what the other one is the value of: an unknown, a function, words."""
        source = self.source(tokens)
        name = compact(source)
        if not name or name in _NOT_NAMES:
            return False
        if any(pattern.fullmatch(name) for pattern in (_UNKNOWN, _POINT, _DERIVATIVE, _OF_UNKNOWN)):
            return True
        parts = split(tokens, ":")
        if len(parts) > 1:
            return all(map(self._is_name, parts))
        said = plain(source)
        return WORDS.fullmatch(said) is not None and (
            any(token.kind == "text" for token in tokens) or said.isupper()
        )

    def _is_total(self, tokens: list[Token]) -> bool:
        """A sum or product of unknowns is what is asked for at times; an equation, at others."""
        return _TOTAL.fullmatch(compact(self.source(tokens))) is not None


def _operators(tokens: list[Token]) -> list[str]:
    """The relations between the sides, in order."""
    found, at = [], -1
    for side in split(tokens, *_RELATIONS)[:-1]:
        at += len(side) + 1
        found.append(tokens[at].text)
    return found
