"""Values with their units, currencies, ratios and moduli."""

import re
from abc import ABC, abstractmethod
from fractions import Fraction

from orchestrator.tasks.math.reading.cursor import split
from orchestrator.tasks.math.reading.formulas import FormulaReader
from orchestrator.tasks.math.reading.latex import plain
from orchestrator.tasks.math.reading.tokens import Token
from orchestrator.tasks.math.reading.units import SCALES, unit
from orchestrator.tasks.math.shapes import finished, formula, symbols
from orchestrator.tasks.math.terms import (
    Apply,
    Congruence,
    Ratio,
    Rational,
    Symbol,
    Unreadable,
    Value,
    WithUnit,
    multiply,
)

_CURRENCIES = {"$": "dollar", "€": "euro", "£": "pound", "¥": "yen"}
_AFTER_VALUE = (")", "}", "]", "!", r"\circ", "|")


class ValueReader(ABC):
    """Reads values out of the tokens of one text."""

    def __init__(self, text: str) -> None:
        self._text = text

    @abstractmethod
    def statement(self, tokens: list[Token]) -> Value:
        """An equation, inequality or value. Raises ``Unreadable``."""

    def source(self, tokens: list[Token]) -> str:
        return self._text[tokens[0].start : tokens[-1].end] if tokens else ""

    def value(self, tokens: list[Token]) -> Value:
        """A value with its unit, where it has one. Raises ``Unreadable``."""
        if not tokens:
            raise Unreadable
        sign = 1 if tokens[0].text == "-" else 0
        if len(tokens) > sign + 1 and tokens[sign].text in _CURRENCIES:
            value = self.value(tokens[:sign] + tokens[sign + 1 :])
            bare = value.value if isinstance(value, WithUnit) else value
            return WithUnit(bare, _CURRENCIES[tokens[sign].text])
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
        phrase = re.sub(r"[{}]", "", plain(self.source(unit_tokens)))
        words = phrase.split()
        factor = SCALES.get(words[0].casefold()) if words else None
        name = unit(" ".join(words[1:] if factor else words), is_text=is_text) if words else None
        if name is None and not (factor and len(words) == 1):
            return None
        try:
            value = finished(self._unitless(tokens[:start]))
        except Unreadable:
            return None
        if isinstance(value, WithUnit) and value.unit == "degree":
            value = value.value  # \circ C
        if not is_text and isinstance(value, Symbol | Apply) and symbols(value):
            return None
        if factor:
            if not isinstance(value, Rational | Symbol | Apply):
                return None
            value = multiply(value, Rational(Fraction(factor)))
        return value if name is None else WithUnit(value, name)

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
