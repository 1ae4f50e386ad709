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

from fractions import Fraction

from orchestrator.tasks.math.comparing.algebra import Algebra, NoAlgebra
from orchestrator.tasks.math.comparing.assignments import assignments
from orchestrator.tasks.math.comparing.matching import all_of
from orchestrator.tasks.math.comparing.sets import SetComparison
from orchestrator.tasks.math.numbers import near, rational
from orchestrator.tasks.math.reading.answers import read
from orchestrator.tasks.math.reading.latex import MAX_ANSWER
from orchestrator.tasks.math.reading.tokens import is_label
from orchestrator.tasks.math.reading.units import agree
from orchestrator.tasks.math.shapes import is_formula, is_set
from orchestrator.tasks.math.terms import (
    Apply,
    Based,
    Congruence,
    Lettered,
    Listing,
    Named,
    Ratio,
    Rational,
    Relation,
    Spelling,
    Symbol,
    Value,
    WithUnit,
    Words,
    add,
    divide,
    multiply,
    negative,
)


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
    return ValueComparison(algebra).values(left, right)


class ValueComparison(SetComparison):
    """Compares values by cases, from what wraps a value to the bare formula."""

    def values(self, left: Value, right: Value) -> bool | None:
        if left == right:
            return left != Spelling("")
        for a, b in ((left, right), (right, left)):
            match a, b:
                case (Spelling(), _):
                    return False
                case (Lettered(), _):
                    return self._choices(a, b)
        if isinstance(left, Named | Listing) and isinstance(right, Named | Listing):
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
                case (WithUnit(value, unit), WithUnit(other, other_unit)):
                    return self.values(value, other) if agree(unit, other_unit) else False
                case (WithUnit(value, _), _):
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
        return self.sets(left, right)

    def _choices(self, choice: Lettered, other: Value) -> bool | None:
        if isinstance(other, Lettered):
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
            return self.formulas(words.product, other.product)
        if words.product is None or not isinstance(other, Rational | Symbol | Apply):
            return False
        return self.formulas(words.product, other)

    def _ratios(self, ratio: Ratio, other: Value) -> bool | None:
        if isinstance(other, Ratio):
            if (ratio.is_clock and other.is_clock) or len(ratio.parts) != len(other.parts):
                return False  # times of day, which are no proportions: 3:30 is not 1:10
            first, second = ratio.parts[0], other.parts[0]
            return all_of(
                self.formulas(multiply(a, second), multiply(b, first))
                for a, b in zip(ratio.parts[1:], other.parts[1:], strict=True)
            )
        if len(ratio.parts) != 2 or not isinstance(other, Rational | Symbol | Apply):
            return False
        if rational(ratio.parts[1]) == Rational(Fraction(0)):
            return False
        return self.formulas(divide(*ratio.parts), other)

    def _congruences(self, congruence: Congruence, other: Value) -> bool | None:
        if not isinstance(other, Congruence):
            return False
        modulus, other_modulus = rational(congruence.modulus), rational(other.modulus)
        difference = rational(add(congruence.residue, negative(other.residue)))
        if modulus is None or other_modulus is None or difference is None:
            return all_of(
                (
                    self.formulas(congruence.residue, other.residue),
                    self.formulas(congruence.modulus, other.modulus),
                )
            )
        if modulus != other_modulus or not modulus.value:
            return False
        return difference.value % modulus.value == 0


def _relation(named: Named) -> Relation | None:
    """The equation or inequality behind a named value, where it is one of formulas."""
    if named.subject is None or not is_formula(named.value):
        return None
    return Relation("=", named.subject, named.value)


def _same_digits(based: Based, other: Value) -> bool:
    digits = based.digits.lstrip("0")
    if isinstance(other, Based):
        return (digits, based.base) == (other.digits.lstrip("0"), other.base)
    return isinstance(other, Rational) and other.value == int(based.digits)


def _scaled(left: Value, right: Value) -> bool | None:
    """Whether two numbers are a factor of 100 apart; None where they are not both numbers."""
    a, b = (each.value if isinstance(each, WithUnit) else each for each in (left, right))
    if not isinstance(a, Rational) or not isinstance(b, Rational):
        return None
    factors = (Fraction(100), Fraction(1, 100))
    return any(near(Rational(a.value * factor, a.is_decimal), b) for factor in factors)
