"""Rational numbers among formulas, and when two numbers count as the same."""

from fractions import Fraction
from math import comb, factorial

from orchestrator.tasks.math.terms import Apply, Formula, Rational

DECIMAL_TOLERANCE = Fraction(1, 10**4)
"""Between two decimals, of the larger one (the authors' tolerance)."""

EXACT_TOLERANCE = Fraction(1, 10**6)
"""Between a decimal and an exact number, of the larger one."""

_MAX_BITS = 20_000


def rational(value: Formula) -> Rational | None:
    """What a formula of rational numbers is worth; None for any other, and for very long ones."""
    if isinstance(value, Rational):
        return value
    if not isinstance(value, Apply):
        return None
    arguments = [rational(each) for each in value.arguments]
    known = [each for each in arguments if each is not None]
    if len(known) < len(arguments):
        return None
    result = _apply(value.function, [each.value for each in known])
    if result is None:
        return None
    return Rational(result, any(each.is_decimal for each in known))


def _apply(function: str, arguments: list[Fraction]) -> Fraction | None:
    match function, arguments:
        case "+", _:
            return sum(arguments, Fraction(0))
        case "*", _:
            result = Fraction(1)
            for each in arguments:
                result *= each
            return result if _is_short(result) else None
        case "^", [base, exponent] if exponent.denominator == 1 and (base or exponent > 0):
            bits = max(base.numerator.bit_length(), base.denominator.bit_length())
            return Fraction(base ** int(exponent)) if bits * abs(exponent) < _MAX_BITS else None
        case "factorial", [n] if n.denominator == 1 and 0 <= n <= 500:
            return Fraction(factorial(int(n)))
        case "binomial", [n, k] if n.denominator == k.denominator == 1 and 0 <= k <= n <= 2_000:
            return Fraction(comb(int(n), int(k)))
        case "abs", [x]:
            return abs(x)
    return None


def _is_short(value: Fraction) -> bool:
    return max(value.numerator.bit_length(), value.denominator.bit_length()) < _MAX_BITS


def near(a: Rational, b: Rational) -> bool:
    """Whether two numbers are the same as far as their decimals tell."""
    if a.value == b.value:
        return True
    if not a.is_decimal and not b.is_decimal:
        return False
    larger = max(abs(a.value), abs(b.value))
    if a.is_decimal and b.is_decimal:
        return abs(a.value - b.value) <= DECIMAL_TOLERANCE * larger
    if a.value.denominator == 1 or b.value.denominator == 1:
        return False  # whole numbers are exact: 10000 is not 10000.01
    return abs(a.value - b.value) <= EXACT_TOLERANCE * larger
