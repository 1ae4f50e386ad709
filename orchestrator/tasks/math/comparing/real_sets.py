"""Sets of real numbers, by sympy: intervals, unions, the solutions of an inequality."""

from functools import reduce
from typing import Any

import sympy
from sympy import S

from orchestrator.tasks.math.comparing.conversion import expression, has_unknown_function
from orchestrator.tasks.math.shapes import is_formula
from orchestrator.tasks.math.terms import (
    REALS,
    Combination,
    Listing,
    RealInterval,
    Relation,
    Value,
    WithUnit,
)


def real_set(value: Value, unknown: Any) -> Any:
    """The set of real numbers a value stands for; None where it stands for none."""
    match value:
        case WithUnit(inner, _):
            return real_set(inner, unknown)
        case RealInterval(brackets, low, high):
            return _interval(brackets, low, high)
        case Listing(brackets, (low, high)) if brackets in ("()", "(]", "[)", "[]"):
            return _interval(brackets, low, high)
        case Listing("{}", items) if all(map(is_formula, items)):
            return sympy.FiniteSet(*map(expression, items))
        case Combination("union", parts):
            sets = [real_set(part, unknown) for part in parts]
            return None if None in sets else sympy.Union(*sets)
        case Combination("intersection", parts):
            sets = [real_set(part, unknown) for part in parts]
            return None if None in sets else sympy.Intersection(*sets)
        case Combination("difference", parts):
            sets = [real_set(part, unknown) for part in parts]
            return None if None in sets else reduce(lambda a, b: a - b, sets)
        case Relation():
            return _solutions(value, unknown)
    return S.Reals if value == REALS else None


def _interval(brackets: str, low: Any, high: Any) -> Any:
    ends = expression(low), expression(high)
    if any(each.free_symbols for each in ends):
        return None
    return sympy.Interval(*ends, brackets[0] == "(", brackets[1] == ")")


def _solutions(relation: Relation, unknown: Any) -> Any:
    left, right = expression(relation.left), expression(relation.right)
    symbols = left.free_symbols | right.free_symbols
    if len(symbols) != 1 or has_unknown_function(left, right):
        return None
    (symbol,) = symbols
    classes = {"=": sympy.Eq, "<": sympy.Lt, "<=": sympy.Le, "!=": sympy.Ne}
    condition = classes[relation.operator](left.subs(symbol, unknown), right.subs(symbol, unknown))
    if condition in (True, False):
        return S.Reals if condition else S.EmptySet
    return sympy.solveset(condition, unknown, S.Reals)


def pieces_of(found: Any) -> list[tuple[Any, Any, bool, bool]] | None:
    """The disjoint intervals and points of a set, from left to right."""
    if found is S.EmptySet:
        return []
    if found == S.Reals:
        return [(S.NegativeInfinity, S.Infinity, True, True)]
    pieces: list[tuple[Any, Any, bool, bool]] = []
    for part in found.args if isinstance(found, sympy.Union) else (found,):
        if isinstance(part, sympy.Interval):
            pieces.append((part.start, part.end, bool(part.left_open), bool(part.right_open)))
        elif isinstance(part, sympy.FiniteSet):
            pieces += [(each, each, False, False) for each in part.args]
        else:
            return None
    return sorted(pieces, key=lambda piece: (float(piece[0]), float(piece[1])))
