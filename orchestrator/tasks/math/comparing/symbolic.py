"""Algebra on formulas, by sympy. Runs in worker processes only.

It can take for ever and all memory on a short answer (a tower of powers), so whoever calls it must
be able to kill it.

Two formulas in unknowns are the same where they have the same value at points chosen without
regard to them, to 30 digits: that decides what rewriting would only guess at, and takes
milliseconds. Where one side is not real, as the logarithm of a negative number, a point says
nothing.
"""

from collections.abc import Iterator
from typing import Any

import sympy
from sympy import Dummy, Integer, S

from orchestrator.tasks.math.comparing.conversion import TooLarge, expression, has_unknown_function
from orchestrator.tasks.math.comparing.equality import compare
from orchestrator.tasks.math.comparing.real_sets import pieces_of, real_set
from orchestrator.tasks.math.numbers import DECIMAL_TOLERANCE, EXACT_TOLERANCE
from orchestrator.tasks.math.reading.answers import read
from orchestrator.tasks.math.terms import (
    Apply,
    Formula,
    Rational,
    Relation,
    Value,
)

DIGITS = 50
SAME = sympy.Rational(1, 10**30)
"""Relative difference below which values computed to ``DIGITS`` are the same."""

ZERO = sympy.Rational(1, 10**40)
"""Below this a value at a point is what rounding leaves of zero."""

ENOUGH = 4
"""Points at which formulas must agree."""

_REAL_POINTS = tuple(
    sympy.Rational(*each)
    for each in (
        (17, 7), (-23, 11), (5, 13), (31, 9), (-7, 19), (43, 17), (-29, 8), (3, 23), (61, 21),
        (-2, 3), (37, 6), (11, 10),
    )
)  # fmt: skip
_WHOLE_POINTS = tuple(map(Integer, (3, 4, 7, 2, 9, 6, 5, 11, 8, 12, 13, 10)))


def same(answer: str, reference: str) -> bool | None:
    """Whether two answers mean the same; None where neither form nor algebra decides."""
    try:
        return compare(read(answer), read(reference), SympyAlgebra())
    except TooLarge:
        return None


class SympyAlgebra:
    """Implements ``algebra.Algebra``."""

    def formulas(self, left: Formula, right: Formula) -> bool | None:
        decimals = sum(map(_has_decimal, (left, right)))
        return _same(expression(left), expression(right), decimals)

    def equations(self, left: Relation, right: Relation) -> bool | None:
        a, b = (
            expression(relation.left) - expression(relation.right) for relation in (left, right)
        )
        a, b = map(_numerator, _with_unknowns_for_functions(a, b))
        unknowns = _unknowns(a, b)
        if not unknowns:
            return None
        ratios = []
        for point in _points(unknowns, [a, b]):
            value, other = _value(a, point), _value(b, point)
            if value is None or other is None or min(abs(value), abs(other)) < ZERO:
                continue
            ratios.append(sympy.N(value / other, DIGITS))
            if not _is_close(ratios[0], ratios[-1], SAME):
                return False
            if len(ratios) == 2 * ENOUGH:
                break
        if len(ratios) < ENOUGH:
            return None
        return left.operator == "=" or bool(sympy.re(ratios[0]) > 0)

    def sets(self, left: Value, right: Value) -> bool | None:
        unknown = Dummy("x", real=True)
        a, b = real_set(left, unknown), real_set(right, unknown)
        if a is None or b is None:
            return False
        pieces, others = pieces_of(a), pieces_of(b)
        if pieces is None or others is None:
            return True if a == b else None
        if len(pieces) != len(others):
            return False
        for piece, other in zip(pieces, others, strict=True):
            if piece[2:] != other[2:]:
                return False
            if not all(_same(x, y, 0) for x, y in zip(piece[:2], other[:2], strict=True)):
                return False
        return True


def _same(left: Any, right: Any, decimals: int) -> bool | None:
    if left == right:
        return True
    if isinstance(left, sympy.MatrixBase) or isinstance(right, sympy.MatrixBase):
        return _same_matrices(left, right, decimals)
    if left.has(S.NaN, S.ComplexInfinity) or right.has(S.NaN, S.ComplexInfinity):
        return False
    if left.is_infinite or right.is_infinite:
        return False
    if not left.free_symbols | right.free_symbols and not has_unknown_function(left, right):
        return _same_numbers(left, right, decimals)
    return _identical(left, right)


def _same_matrices(left: Any, right: Any, decimals: int) -> bool | None:
    if not all(isinstance(each, sympy.MatrixBase) for each in (left, right)):
        return False
    if left.shape != right.shape:
        return False
    verdicts = [_same(a, b, decimals) for a, b in zip(left, right, strict=True)]
    return False if False in verdicts else None if None in verdicts else True


def _same_numbers(left: Any, right: Any, decimals: int) -> bool | None:
    if left.is_Rational and right.is_Rational and not decimals:
        return False
    longest = max((len(str(abs(n))) for n in left.atoms(Integer) | right.atoms(Integer)), default=1)
    digits = DIGITS + min(2 * longest, 2_000)
    a, b = sympy.N(left, digits), sympy.N(right, digits)
    if not (a.is_number and b.is_number) or a.has(S.NaN) or b.has(S.NaN):
        return None
    if _is_close(a, b, sympy.Rational(1, 10 ** (digits - 20))):
        return True
    if decimals == 0:
        return False
    tolerance = DECIMAL_TOLERANCE if decimals == 2 else EXACT_TOLERANCE
    if left.is_Integer or right.is_Integer:
        return False
    return _is_close(a, b, sympy.Rational(tolerance.numerator, tolerance.denominator))


def _is_close(a: Any, b: Any, tolerance: Any) -> bool:
    larger = max(abs(a), abs(b))
    return bool(abs(a - b) <= tolerance * larger)


def _identical(left: Any, right: Any) -> bool | None:
    """Whether two expressions agree wherever both are real, or wherever both have a value."""
    difference = left - right
    if difference == 0 or sympy.expand(difference) == 0:
        return True
    if any(
        each.has(sympy.Sum, sympy.Product) and has_unknown_function(each) for each in (left, right)
    ):
        return False
    left, right = _with_unknowns_for_functions(left, right)
    unknowns = _unknowns(left, right)
    is_complex = left.has(sympy.I) or right.has(sympy.I)
    real = other = 0
    other_agree = True
    for point in _points(unknowns, [left, right]):
        a, b = _value(left, point), _value(right, point)
        if a is None or b is None:
            continue
        is_same = _is_close(a, b, SAME) or max(abs(a), abs(b)) < ZERO
        if is_complex or (_is_real(a) and _is_real(b)):
            if not is_same:
                return False
            real += 1
            if real == ENOUGH:
                return True
        elif not _is_real(a) and not _is_real(b):
            other += 1
            other_agree &= is_same
    if real:
        return True
    return other_agree if other else None


def _points(unknowns: list[Any], expressions: list[Any]) -> Iterator[dict[Any, Any]]:
    is_whole = any(each.has(sympy.Sum, sympy.Product) for each in expressions)
    values = _WHOLE_POINTS if is_whole else _REAL_POINTS
    for i in range(len(values)):
        yield {
            unknown: values[(i + 5 * j) % len(values)] + (0 if is_whole else sympy.Rational(j, 101))
            for j, unknown in enumerate(unknowns)
        }
    if not is_whole:  # what is real at whole numbers alone, as (-1)^n
        for i in range(len(_WHOLE_POINTS)):
            yield {
                unknown: _WHOLE_POINTS[(i + 5 * j) % len(_WHOLE_POINTS)]
                for j, unknown in enumerate(unknowns)
            }


def _value(expression: Any, point: dict[Any, Any]) -> Any:
    """What the expression is worth at a point; None where it has no finite value."""
    if expression.has(sympy.Sum, sympy.Product):
        value = sympy.N(expression.subs(point).doit(), DIGITS)
    else:
        value = expression.evalf(DIGITS, subs=point)
    if not value.is_number or value.has(S.NaN, S.ComplexInfinity, S.Infinity, S.NegativeInfinity):
        return None
    if value.atoms(sympy.Function):
        return None
    return value


def _is_real(value: Any) -> bool:
    real, imaginary = value.as_real_imag()
    return bool(abs(imaginary) <= SAME * abs(real)) or imaginary == 0


def _unknowns(*expressions: Any) -> list[Any]:
    found: set[Any] = set().union(*(each.free_symbols for each in expressions))
    return sorted(found, key=str)


def _with_unknowns_for_functions(left: Any, right: Any) -> tuple[Any, Any]:
    applied = left.atoms(sympy.core.function.AppliedUndef) | right.atoms(
        sympy.core.function.AppliedUndef
    )
    unknowns: dict[Any, Any] = {}
    for each in sorted(applied, key=str):
        known = next(
            (
                other
                for other in unknowns
                if sympy.expand(each.args[0] - other.args[0]) == 0
                and each.func == other.func
                and len(each.args) == len(other.args) == 1
            ),
            None,
        )
        unknowns[each] = unknowns[known] if known is not None else sympy.Symbol(f"_{len(unknowns)}")
    return left.xreplace(unknowns), right.xreplace(unknowns)


def _numerator(expression: Any) -> Any:
    over, _ = sympy.fraction(sympy.together(expression))
    return over


def _has_decimal(value: Formula) -> bool:
    match value:
        case Rational(is_decimal=is_decimal):
            return is_decimal
        case Apply(arguments=arguments):
            return any(map(_has_decimal, arguments))
    return False
