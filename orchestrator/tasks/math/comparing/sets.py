"""Whether two lists, sets, intervals, relations or formulas mean the same."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

from orchestrator.tasks.math.comparing.algebra import Algebra
from orchestrator.tasks.math.comparing.assignments import assignments
from orchestrator.tasks.math.comparing.matching import all_of, can_pair, without_common
from orchestrator.tasks.math.numbers import near, rational
from orchestrator.tasks.math.shapes import is_formula, is_set
from orchestrator.tasks.math.terms import (
    REALS,
    Combination,
    Formula,
    Listing,
    Matrix,
    RealInterval,
    Relation,
    Value,
    Words,
)

ORDERED = ("()", "[]", "(]", "[)")

MAX_UNORDERED = 40
"""Of longer lists, the items that differ in spelling are compared in their order."""


class SetComparison(ABC):
    """Compares what has members, and bare formulas; None where ``algebra`` cannot tell."""

    def __init__(self, algebra: Algebra) -> None:
        self._algebra = algebra

    @abstractmethod
    def values(self, left: Value, right: Value) -> bool | None:
        """Whether two members are equal, whatever they are."""

    def sets(self, left: Value, right: Value) -> bool | None:
        """Lists, sets, intervals and relations, or else formulas."""
        for a, b in ((left, right), (right, left)):
            match a, b:
                case (Listing(), Matrix(rows)) if a.brackets in ("", "()"):
                    items = _vector(rows)
                    return False if items is None else self._ordered(a.items, items)
                case (Listing("{}" | "", (item,)), _) if not _has_members(b) or _is_tuple(item, b):
                    return self.values(item, b)
        if isinstance(left, Listing) and isinstance(right, Listing):
            return self._sequences(left, right)
        if isinstance(left, RealInterval) and isinstance(right, RealInterval):
            return self._intervals(left, right)
        for a, b in ((left, right), (right, left)):
            match a, b:
                case (Listing(brackets, (low, high)), RealInterval()) if brackets in ORDERED:
                    if not _are_formulas((low, high)):
                        return False
                    return self._intervals(RealInterval(brackets, low, high), b)  # type: ignore[arg-type]
        if isinstance(left, Relation) and isinstance(right, Relation):
            return self._relations(left, right)
        if _has_members(left) and _has_members(right):
            return self._combinations(left, right)
        if is_formula(left) and is_formula(right):
            return self.formulas(left, right)
        return False

    def _relations(self, left: Relation, right: Relation) -> bool | None:
        if {left.operator, right.operator} == {"<", "<="}:
            return False
        if (left.operator == "=") != (right.operator == "="):
            return False
        if left.operator == "!=" or right.operator == "!=":
            return self._algebra.sets(left, right)
        return self._algebra.equations(left, right)

    def _combinations(self, left: Value, right: Value) -> bool | None:
        """Unions and the like; plain intervals against finite sets differ."""
        pair = (left, right)
        if (
            isinstance(left, Combination)
            and isinstance(right, Combination)
            and left.operation == right.operation != "difference"
            and self._unordered(left.parts, right.parts)
        ):
            return True
        if not any(isinstance(each, Combination | Relation) or each == REALS for each in pair):
            return False
        if any(isinstance(each, Relation) and each.operator == "=" for each in pair):
            return False
        return self._algebra.sets(left, right)

    def _sequences(self, left: Listing, right: Listing) -> bool | None:
        brackets = {left.brackets, right.brackets}
        if len(brackets) == 2 and brackets not in ({"", "()"}, {"", "{}"}):
            return False
        a, b = left.items, right.items
        if brackets == {"{}"}:
            a, b = self._distinct(a), self._distinct(b)
        if len(a) != len(b):
            return False
        if (assigned := assignments(left) or assignments(right)) is not None:
            if "{}" in brackets:
                return False
            a = tuple(assigned.values())
            b = right.items if assignments(left) else left.items
        is_ordered = brackets not in ({""}, {"{}"}, {"", "{}"}) or assigned is not None
        if is_ordered or Words("...") in a:
            return self._ordered(a, b)
        return self._unordered(a, b)

    def _distinct(self, items: Sequence[Value]) -> tuple[Value, ...]:
        kept: list[Value] = []
        for item in items:
            if not any(self.values(item, each) for each in kept):
                kept.append(item)
        return tuple(kept)

    def _ordered(self, left: Sequence[Value], right: Sequence[Value]) -> bool | None:
        if len(left) != len(right):
            return False
        return all_of(self.values(a, b) for a, b in zip(left, right, strict=True))

    def _unordered(self, left: Sequence[Value], right: Sequence[Value]) -> bool | None:
        """Whether the items can be paired; None where that hangs on what cannot be told."""
        if len(left) != len(right):
            return False
        left, right = without_common(left, right)
        if len(left) > MAX_UNORDERED:
            return self._ordered(left, right)
        verdicts = [[self.values(a, b) for b in right] for a in left]
        if can_pair([[each is True for each in row] for row in verdicts]):
            return True
        return (
            None if can_pair([[each is not False for each in row] for row in verdicts]) else False
        )

    def _intervals(self, left: RealInterval, right: RealInterval) -> bool | None:
        if left.brackets != right.brackets:
            return False
        return all_of((self.formulas(left.low, right.low), self.formulas(left.high, right.high)))

    def formulas(self, left: Formula, right: Formula) -> bool | None:
        if left == right:
            return True
        if isinstance(left, Matrix) and isinstance(right, Matrix):
            if [len(row) for row in left.rows] != [len(row) for row in right.rows]:
                return False
            return all_of(
                self.formulas(a, b)
                for row, other in zip(left.rows, right.rows, strict=True)
                for a, b in zip(row, other, strict=True)
            )
        a, b = rational(left), rational(right)
        if a is not None and b is not None:
            return near(a, b)
        return self._algebra.formulas(left, right)


def _vector(rows: tuple[tuple[Formula, ...], ...]) -> tuple[Formula, ...] | None:
    if len(rows) == 1:
        return rows[0]
    return tuple(row[0] for row in rows) if len(rows[0]) == 1 else None


def _has_members(value: Value) -> bool:
    return is_set(value) or isinstance(value, Relation)


def _is_tuple(*values: Value) -> bool:
    return all(isinstance(each, Listing) and each.brackets in ORDERED for each in values)


def _are_formulas(values: Iterable[Value]) -> bool:
    return all(map(is_formula, values))
