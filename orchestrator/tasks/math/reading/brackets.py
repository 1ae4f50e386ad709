"""What stands in brackets and environments: groups, tuples, intervals, sets, matrices."""

from orchestrator.tasks.math.reading.cursor import CLOSERS, CLOSING, split
from orchestrator.tasks.math.reading.grammar import Grammar
from orchestrator.tasks.math.reading.names import based
from orchestrator.tasks.math.reading.tokens import Token
from orchestrator.tasks.math.shapes import formula, listed
from orchestrator.tasks.math.terms import (
    EMPTY,
    Apply,
    Brackets,
    Formula,
    Listing,
    Matrix,
    Rational,
    Unreadable,
    Value,
)

_BRACKETS: dict[str, Brackets] = {
    "()": "()", "[]": "[]", "(]": "(]", "[)": "[)", r"\{\}": "{}", r"\langle\rangle": "()",
    "{}": "",
}  # fmt: skip
_MATRICES = ("pmatrix", "bmatrix", "matrix", "array", "smallmatrix", "Bmatrix")


def bracketed(reader: Grammar, opening: str) -> Value:
    """What stands in brackets: a group, or the elements of a tuple, interval or set."""
    closing_at = _closing(reader)
    inner = reader.tokens[reader.position : closing_at]
    closing = reader.tokens[closing_at].text
    if closing not in CLOSING[opening]:
        raise Unreadable
    reader.position = closing_at + 1
    if opening in (r"\lfloor", r"\lceil"):
        name = "floor" if opening == r"\lfloor" else "ceiling"
        return Apply(name, (formula(reader.within(inner)),))
    if opening == r"\{":
        return _set(reader, inner)
    brackets = _BRACKETS.get(opening + closing)
    items = split(inner, ",", ";")
    if len(items) == 1 and opening != r"\langle":
        if brackets is None or brackets not in ("()", "[]", ""):
            raise Unreadable
        value = reader.within(inner)
        if reader.token.text == "_" and isinstance(value, Rational):
            return based(reader, inner[0].text)
        return value
    if brackets is None or (brackets in ("(]", "[)") and len(items) != 2):
        raise Unreadable
    return Listing(brackets, tuple(reader.statement(each) for each in items))


def _set(reader: Grammar, inner: list[Token]) -> Value:
    if not inner:
        return EMPTY
    bars = split(inner, "|", ":")
    if len(bars) == 2:
        condition = reader.statement(bars[1])
        return getattr(condition, "value", condition)
    items = [reader.statement(each) for each in split(inner, ",", ";", "and")]
    return Listing("{}", tuple(each for item in items for each in listed(item)))


def matrix(reader: Grammar, kind: str) -> Value:
    """The rows of the environment ``kind``."""
    if kind not in _MATRICES:
        raise Unreadable
    rows: list[tuple[Formula, ...]] = []
    row: list[Formula] = []
    while True:
        if reader.token.text == rf"\end{{{kind}}}" and not row:
            reader.position += 1
            break
        row.append(formula(reader.sets()))
        if reader.accept("&"):
            continue
        rows.append(tuple(row))
        row = []
        if reader.accept(r"\\"):
            continue
        reader.expect(rf"\end{{{kind}}}")
        break
    if not rows or len({len(each) for each in rows}) != 1:
        raise Unreadable
    return Matrix(tuple(rows))


def _closing(reader: Grammar) -> int:
    """Where the bracket before the position closes. Raises ``Unreadable``."""
    depth = 1
    for i in range(reader.position, len(reader.tokens)):
        token = reader.tokens[i]
        if token.kind not in ("symbol", "command"):
            continue
        depth += token.text in CLOSING
        depth -= token.text in CLOSERS
        if depth == 0:
            return i
    raise Unreadable
