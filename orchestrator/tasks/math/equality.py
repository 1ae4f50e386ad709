r"""Whether two answers mean the same, as far as their form decides; formulas are left to algebra.

Conventions, for this module and the algebra behind it:

- Numbers are compared exactly: 27.0 is 27, and ½ is 0.5 is 1/2. Two decimals count as equal within
  1e-4 of the larger (the authors' tolerance), a decimal and an exact number within 1e-6 (0.333333
  is 1/3); a whole number is no other one's neighbour.
- A unit that only one side names is dropped, currency and percent signs among them: 5 cm is 5 and
  not 5 km, 10\% is 10 and not 0.1. The authors also accept a factor of 100; that inflates scores,
  so it hides behind ``percent``.
- 52_8 is 52 where one side names no base; 52_8 is not 52_7.
- (1,2) is ordered, {1,2} and 1,2 are not; (1,2) is not [1,2], nor {1,2}. Bare 1,2 is (1,2).
- x = 5 is 5 and not y = 5; x > 3 is (3, oo) and not y > 3.
- Words are compared without case: \text{Evelyn} is evelyn; (C) is C.
- What cannot be read is equal to its own spelling alone.
"""

from collections.abc import Iterable
from collections.abc import Sequence as Items
from fractions import Fraction
from itertools import pairwise
from typing import Protocol

from orchestrator.tasks.math.latex import MAX_ANSWER
from orchestrator.tasks.math.matching import all_of, can_pair, without_common
from orchestrator.tasks.math.numbers import near, rational
from orchestrator.tasks.math.shapes import is_formula, is_set
from orchestrator.tasks.math.statements import read
from orchestrator.tasks.math.terms import (
    REALS,
    Apply,
    Based,
    Choice,
    Combination,
    Congruence,
    Formula,
    Interval,
    Matrix,
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
    add,
    divide,
    multiply,
    negative,
)
from orchestrator.tasks.math.tokens import is_label
from orchestrator.tasks.math.units import agree

ORDERED = ("()", "[]", "(]", "[)")

MAX_UNORDERED = 40
"""Of longer lists, the items that differ in spelling are compared in their order."""


class Algebra(Protocol):
    """What decides where form does not. None: cannot tell."""

    def formulas(self, left: Formula, right: Formula) -> bool | None: ...

    def equations(self, left: Relation, right: Relation) -> bool | None:
        """Whether two equations, or two inequalities, have the same solutions."""
        ...

    def sets(self, left: Value, right: Value) -> bool | None:
        """Whether two sets of real numbers are the same; relations stand for their solutions."""
        ...


class NoAlgebra:
    """Leaves everything open."""

    def formulas(self, left: Formula, right: Formula) -> bool | None:
        return None

    def equations(self, left: Relation, right: Relation) -> bool | None:
        return None

    def sets(self, left: Value, right: Value) -> bool | None:
        return None


def quick(left: str, right: str, *, percent: bool = False) -> bool | None:
    """Whether two answers are equal, or None where only algebra can tell."""
    if max(len(left), len(right)) > MAX_ANSWER:
        return left.strip() == right.strip()
    a, b = read(left), read(right)
    verdict = compare(a, b, NoAlgebra())
    if percent and not verdict and (scaled := _scaled(a, b)) is not None:
        return scaled
    return verdict


def compare(left: Value, right: Value, algebra: Algebra) -> bool | None:
    """Whether two values are equal, the same in either order; None where nothing can tell."""
    return Comparison(algebra).values(left, right)


class Comparison:
    """Compares values by cases, from what wraps a value to the bare formula."""

    def __init__(self, algebra: Algebra) -> None:
        self._algebra = algebra

    def values(self, left: Value, right: Value) -> bool | None:
        if left == right:
            return left != Spelling("")
        for a, b in ((left, right), (right, left)):
            match a, b:
                case (Spelling(), _):
                    return False
                case (Choice(), _):
                    return self._choices(a, b)
        if isinstance(left, Named | Sequence) and isinstance(right, Named | Sequence):
            assigned, others = assignments(left), assignments(right)
            if assigned and others:
                return self._assignments(assigned, others)
            if (assigned and isinstance(right, Named)) or (others and isinstance(left, Named)):
                return False
        for a, b in ((left, right), (right, left)):
            match a, b:
                case (Named(), _):
                    return self._named(a, b)
        for a, b in ((left, right), (right, left)):
            match a, b:
                case (Quantity(value, unit), Quantity(other, other_unit)):
                    return self.values(value, other) if agree(unit, other_unit) else False
                case (Quantity(value, _), _):
                    return self.values(value, b)
        for a, b in ((left, right), (right, left)):
            match a, b:
                case (Words(), _):
                    return self._words(a, b)
                case (Ratio(), _):
                    return self._ratios(a, b)
                case (Based(), _):
                    return _same_digits(a, b)
                case (Congruence(), _):
                    return self._congruences(a, b)
        return self._sets(left, right)

    def _choices(self, choice: Choice, other: Value) -> bool | None:
        if isinstance(other, Choice):
            if choice.letter != other.letter:
                return False
            return self.values(choice.content, other.content) is not False
        if isinstance(other, Words) and len(other.text) == 1:
            return other.text.casefold() == choice.letter.casefold()
        return self.values(choice.content, other)

    def _assignments(self, left: dict[str, Value], right: dict[str, Value]) -> bool | None:
        if left.keys() != right.keys():
            return False
        return all_of(self.values(left[name], right[name]) for name in left)

    def _named(self, named: Named, other: Value) -> bool | None:
        if isinstance(other, Named):
            if named.name == other.name:
                return self.values(named.value, other.value)
            if is_set(named.value) and named.name.isupper() != other.name.isupper():
                return self.values(named.value, other.value)  # A = (1, 2), and x of it
            return self._equations(_relation(named), _relation(other))
        if isinstance(other, Relation):
            if other.operator == "=":
                return self._equations(_relation(named), other)
            return self.values(named.value, other)
        return self.values(named.value, other)

    def _equations(self, left: Relation | None, right: Relation | None) -> bool | None:
        if left is None or right is None:
            return False
        if (left.operator == "=") != (right.operator == "="):
            return False
        return self._algebra.equations(left, right)

    def _words(self, words: Words, other: Value) -> bool | None:
        if isinstance(other, Words):
            if words.text.casefold() == other.text.casefold():
                return True
            if words.product is None or other.product is None:
                return False
            if is_label(words.text) or is_label(other.text):
                return False
            return self._formulas(words.product, other.product)
        if words.product is None or not isinstance(other, Number | Symbol | Apply):
            return False
        return self._formulas(words.product, other)

    def _ratios(self, ratio: Ratio, other: Value) -> bool | None:
        if isinstance(other, Ratio):
            if (ratio.is_clock and other.is_clock) or len(ratio.parts) != len(other.parts):
                return False  # times of day, which are no proportions: 3:30 is not 1:10
            first, second = ratio.parts[0], other.parts[0]
            return all_of(
                self._formulas(multiply(a, second), multiply(b, first))
                for a, b in zip(ratio.parts[1:], other.parts[1:], strict=True)
            )
        if len(ratio.parts) != 2 or not isinstance(other, Number | Symbol | Apply):
            return False
        if rational(ratio.parts[1]) == Number(Fraction(0)):
            return False
        return self._formulas(divide(*ratio.parts), other)

    def _congruences(self, congruence: Congruence, other: Value) -> bool | None:
        if not isinstance(other, Congruence):
            return False
        modulus, other_modulus = rational(congruence.modulus), rational(other.modulus)
        difference = rational(add(congruence.residue, negative(other.residue)))
        if modulus is None or other_modulus is None or difference is None:
            return all_of(
                (
                    self._formulas(congruence.residue, other.residue),
                    self._formulas(congruence.modulus, other.modulus),
                )
            )
        if modulus != other_modulus or not modulus.value:
            return False
        return difference.value % modulus.value == 0

    def _sets(self, left: Value, right: Value) -> bool | None:
        """Lists, sets, intervals and relations, or else formulas."""
        for a, b in ((left, right), (right, left)):
            match a, b:
                case (Sequence(), Matrix(rows)) if a.brackets in ("", "()"):
                    items = _vector(rows)
                    return False if items is None else self._ordered(a.items, items)
                case (Sequence("{}" | "", (item,)), _) if not _has_members(b) or _is_tuple(item, b):
                    return self.values(item, b)
        if isinstance(left, Sequence) and isinstance(right, Sequence):
            return self._sequences(left, right)
        if isinstance(left, Interval) and isinstance(right, Interval):
            return self._intervals(left, right)
        for a, b in ((left, right), (right, left)):
            match a, b:
                case (Sequence(brackets, (low, high)), Interval()) if brackets in ORDERED:
                    if not _are_formulas((low, high)):
                        return False
                    return self._intervals(Interval(brackets, low, high), b)  # type: ignore[arg-type]
        if isinstance(left, Relation) and isinstance(right, Relation):
            return self._relations(left, right)
        if _has_members(left) and _has_members(right):
            return self._combinations(left, right)
        if is_formula(left) and is_formula(right):
            return self._formulas(left, right)
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

    def _sequences(self, left: Sequence, right: Sequence) -> bool | None:
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

    def _distinct(self, items: Items[Value]) -> tuple[Value, ...]:
        kept: list[Value] = []
        for item in items:
            if not any(self.values(item, each) for each in kept):
                kept.append(item)
        return tuple(kept)

    def _ordered(self, left: Items[Value], right: Items[Value]) -> bool | None:
        if len(left) != len(right):
            return False
        return all_of(self.values(a, b) for a, b in zip(left, right, strict=True))

    def _unordered(self, left: Items[Value], right: Items[Value]) -> bool | None:
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

    def _intervals(self, left: Interval, right: Interval) -> bool | None:
        if left.brackets != right.brackets:
            return False
        return all_of((self._formulas(left.low, right.low), self._formulas(left.high, right.high)))

    def _formulas(self, left: Formula, right: Formula) -> bool | None:
        if left == right:
            return True
        if isinstance(left, Matrix) and isinstance(right, Matrix):
            if [len(row) for row in left.rows] != [len(row) for row in right.rows]:
                return False
            return all_of(
                self._formulas(a, b)
                for row, other in zip(left.rows, right.rows, strict=True)
                for a, b in zip(row, other, strict=True)
            )
        a, b = rational(left), rational(right)
        if a is not None and b is not None:
            return near(a, b)
        return self._algebra.formulas(left, right)


def _relation(named: Named) -> Relation | None:
    """The equation or inequality behind a named value, where it is one of formulas."""
    if named.subject is None or not is_formula(named.value):
        return None
    return Relation("=", named.subject, named.value)


def assignments(value: Value) -> dict[str, Value] | None:
    """The values of x = 2, y = 3 or (x, y) = (2, 3) by name, in the order in which a bare list
    gives them; None where it names none or one alone."""
    if isinstance(value, Named):
        names = value.name.removeprefix("(").removesuffix(")").split(",")
        if len(names) == 1 or not isinstance(value.value, Sequence):
            return None
        items = value.value.items
        return dict(zip(names, items, strict=True)) if len(names) == len(items) else None
    if not isinstance(value, Sequence) or not value.items:
        return None
    named = {item.name: item.value for item in value.items if isinstance(item, Named)}
    if len(named) < len(value.items) or len(named) < 2:
        return None
    return dict(sorted(named.items())) if _are_neighbours(sorted(named)) else named


def _are_neighbours(names: Items[str]) -> bool:
    """Whether names are letters in a row, as x, y, z: whose values stand in that order."""
    return all(map(str.isalpha, names)) and all(
        len(a) == len(b) == 1 and ord(b) == ord(a) + 1 for a, b in pairwise(names)
    )


def _vector(rows: tuple[tuple[Formula, ...], ...]) -> tuple[Formula, ...] | None:
    if len(rows) == 1:
        return rows[0]
    return tuple(row[0] for row in rows) if len(rows[0]) == 1 else None


def _has_members(value: Value) -> bool:
    return is_set(value) or isinstance(value, Relation)


def _is_tuple(*values: Value) -> bool:
    return all(isinstance(each, Sequence) and each.brackets in ORDERED for each in values)


def _are_formulas(values: Iterable[Value]) -> bool:
    return all(map(is_formula, values))


def _same_digits(based: Based, other: Value) -> bool:
    digits = based.digits.lstrip("0")
    if isinstance(other, Based):
        return (digits, based.base) == (other.digits.lstrip("0"), other.base)
    return isinstance(other, Number) and other.value == int(based.digits)


def _scaled(left: Value, right: Value) -> bool | None:
    """Whether two numbers are a factor of 100 apart; None where they are not both numbers."""
    a, b = (each.value if isinstance(each, Quantity) else each for each in (left, right))
    if not isinstance(a, Number) or not isinstance(b, Number):
        return None
    factors = (Fraction(100), Fraction(1, 100))
    return any(near(Number(a.value * factor, a.is_decimal), b) for factor in factors)
