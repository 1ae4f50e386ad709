"""Formulas as sympy has them."""

from functools import lru_cache, reduce
from typing import Any

import sympy

from orchestrator.tasks.math.terms import (
    EULER,
    IMAGINARY,
    INFINITY,
    PI,
    Apply,
    Formula,
    Matrix,
    Rational,
    Symbol,
    words,
)

MAX_BITS = 1_000_000
"""Of the powers that are worked out: a tower of them says nothing that its spelling does not."""


class TooLarge(Exception):
    """A number of more than ``MAX_BITS``."""


@lru_cache(maxsize=4096)
def expression(value: Formula) -> Any:
    """The formula as sympy has it."""
    match value:
        case Rational(number):
            return sympy.Rational(number.numerator, number.denominator)
        case Symbol(name):
            return _CONSTANTS.get(value) or sympy.Symbol(name)
        case Matrix(rows):
            return sympy.Matrix([[expression(each) for each in row] for row in rows])
        case Apply("sum" | "product" as kind, (body, variable, low, high)):
            series = sympy.Sum if kind == "sum" else sympy.Product
            bounds = (sympy.Symbol(variable.name), expression(low), expression(high))  # type: ignore[union-attr]
            return series(expression(body), bounds).doit()
        case Apply(function, arguments):
            return _applied(function, [expression(each) for each in arguments])


_CONSTANTS: dict[Formula, Any] = {
    PI: sympy.pi,
    EULER: sympy.E,
    IMAGINARY: sympy.I,
    INFINITY: sympy.oo,
}


def _bits(number: Any) -> int:
    return max(2, int(number.p).bit_length(), int(number.q).bit_length()) - 1


def _applied(function: str, arguments: list[Any]) -> Any:
    match function, arguments:
        case "+", _:
            return reduce(lambda a, b: a + b, arguments)
        case "*", _:
            return reduce(lambda a, b: a * b, arguments)
        case "^", [sympy.MatrixBase() as matrix, exponent]:
            return matrix.T if exponent == sympy.Symbol("T") else matrix**exponent
        case "^", [base, exponent]:
            if base.is_Rational and exponent.is_Integer and abs(exponent) > MAX_BITS / _bits(base):
                raise TooLarge
            return base**exponent
        case "root", [radicand, index]:
            if index.is_Integer and index % 2 == 1 and radicand.is_negative:
                return -sympy.root(-radicand, index)
            return sympy.root(radicand, index)
        case "degrees", [angle]:
            return angle * sympy.pi / 180
        case "log", [x, base]:
            return sympy.log(x) / sympy.log(base)
        case "ln", [x]:
            return sympy.log(x)
        case "permutations", [n, k]:
            return sympy.ff(n, k)
        case "abs", [sympy.MatrixBase() as matrix]:
            return matrix.det()
        case (("gcd" | "lcm"), _) if all(each.is_Integer for each in arguments):
            return reduce(sympy.gcd if function == "gcd" else sympy.lcm, arguments)
    known = _FUNCTIONS.get(function)
    return known(*arguments) if known else sympy.Function(function)(*arguments)


_FUNCTIONS: dict[str, Any] = {
    **{
        name: getattr(sympy, name)
        for name in words(
            "sin cos tan cot sec csc sinh cosh tanh coth sech csch exp floor ceiling"
            " factorial factorial2 binomial re im arg"
        )
    },
    **{f"arc{name}": getattr(sympy, f"a{name}") for name in words("sin cos tan cot sec csc")},
    **{f"ar{name}": getattr(sympy, f"a{name}") for name in words("sinh cosh tanh")},
    "abs": sympy.Abs,
    "max": sympy.Max,
    "min": sympy.Min,
}  # fmt: skip


def has_unknown_function(*expressions: Any) -> bool:
    """Whether any has a function of which nothing is known but its name."""
    return any(each.has(sympy.core.function.AppliedUndef) for each in expressions)
