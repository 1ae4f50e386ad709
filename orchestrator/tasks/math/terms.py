"""What an answer says, as a value: a number, a formula, a list, an interval, a word.

``reading`` gets these from LaTeX and plain text, ``comparing`` decides which are equal.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

Brackets = Literal["", "()", "[]", "(]", "[)", "{}"]


@dataclass(frozen=True, slots=True)
class Rational:
    """A rational number, and whether it was written as a decimal, which may be rounded."""

    value: Fraction
    is_decimal: bool = False


@dataclass(frozen=True, slots=True)
class Symbol:
    """An unknown by its name (``x``, ``y_1``, ``f'``), or one of ``CONSTANTS``."""

    name: str


@dataclass(frozen=True, slots=True)
class Apply:
    """A function or operator with its arguments.

    ``+ * ^ ± ∓`` and the functions of ``FUNCTIONS`` are known; any other name is a function of
    which nothing is known but its name (``f``, ``a_`` of the sequence a_n).
    """

    function: str
    arguments: tuple["Formula", ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    rows: tuple[tuple["Formula", ...], ...]


Formula = Rational | Symbol | Apply | Matrix


@dataclass(frozen=True, slots=True)
class WithUnit:
    """A value in a unit (``cm``, ``dollar``, ``degree``, ``pm`` …), in its shortest name."""

    value: "Value"
    unit: str


@dataclass(frozen=True, slots=True)
class Words:
    """Text, compared by its spelling; ``product`` where the letters may be factors: xy."""

    text: str
    product: Formula | None = None


@dataclass(frozen=True, slots=True)
class Lettered:
    """An option with its text: (C) 12."""

    letter: str
    content: "Value"


@dataclass(frozen=True, slots=True)
class Listing:
    """A list (no brackets), tuple, set or two ends of an interval, as its brackets say."""

    brackets: Brackets
    items: tuple["Value", ...]


@dataclass(frozen=True, slots=True)
class RealInterval:
    """What an inequality says: all numbers between two ends."""

    brackets: Brackets
    low: Formula
    high: Formula


@dataclass(frozen=True, slots=True)
class Combination:
    """Sets that are united, intersected (both flattened) or subtracted."""

    operation: Literal["union", "intersection", "difference"]
    parts: tuple["Value", ...]


@dataclass(frozen=True, slots=True)
class Named:
    """A value with the name it is given: x = 5, f(x) = 2x, x in [1, 2].

    ``subject`` is the name as a formula, None where it is none.
    """

    name: str
    subject: Formula | None
    value: "Value"


@dataclass(frozen=True, slots=True)
class Relation:
    """An equation or inequality that names no value: 2x + 3y = 6, |x - 1| < 2."""

    operator: Literal["=", "<", "<=", "!="]
    left: Formula
    right: Formula


@dataclass(frozen=True, slots=True)
class Ratio:
    """3 : 4, or a time of day; ``is_clock`` where it may be one."""

    parts: tuple[Formula, ...]
    is_clock: bool = False


@dataclass(frozen=True, slots=True)
class Based:
    """Digits in a base: 1011_2."""

    digits: str
    base: int


@dataclass(frozen=True, slots=True)
class Congruence:
    """A residue and its modulus: 3 mod 7."""

    residue: Formula
    modulus: Formula


@dataclass(frozen=True, slots=True)
class Spelling:
    """What cannot be read: equal to itself alone."""

    text: str


Value = (
    Rational
    | Symbol
    | Apply
    | Matrix
    | WithUnit
    | Words
    | Lettered
    | Listing
    | RealInterval
    | Combination
    | Named
    | Relation
    | Ratio
    | Based
    | Congruence
    | Spelling
)


class Unreadable(Exception):
    """An answer that is no formula, list or relation."""


def words(text: str) -> frozenset[str]:
    """The words of a vocabulary."""
    return frozenset(text.split())


REALS = Symbol("R")
INFINITY = Symbol("oo")
PI, EULER, IMAGINARY = Symbol("pi"), Symbol("e"), Symbol("i")
CONSTANTS = frozenset((PI, EULER, IMAGINARY, INFINITY))
EMPTY = Listing("{}", ())

NAMED_FUNCTIONS = words(
    "sin cos tan cot sec csc arcsin arccos arctan arccot arcsec arccsc sinh cosh tanh coth sech"
    " csch arsinh arcosh artanh exp ln log sqrt floor gcd lcm max min"
)
"""Functions by the names that people write."""

FUNCTIONS = NAMED_FUNCTIONS | words(
    "root abs ceiling factorial factorial2 binomial permutations sum product degrees re im arg"
)
"""All functions of which something is known."""


def add(*terms: Formula) -> Formula:
    return terms[0] if len(terms) == 1 else Apply("+", terms)


def multiply(*factors: Formula) -> Formula:
    return factors[0] if len(factors) == 1 else Apply("*", factors)


def power(base: Formula, exponent: Formula) -> Formula:
    return Apply("^", (base, exponent))


def divide(over: Formula, under: Formula) -> Formula:
    return Apply("*", (over, power(under, Rational(Fraction(-1)))))


def negative(term: Formula) -> Formula:
    if isinstance(term, Rational):
        return Rational(-term.value, term.is_decimal)
    return Apply("*", (Rational(Fraction(-1)), term))
