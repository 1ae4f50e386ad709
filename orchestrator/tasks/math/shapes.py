"""What may be asked of values, and done to them, whatever they are."""

from typing import TypeGuard

from orchestrator.tasks.math.terms import (
    CONSTANTS,
    FUNCTIONS,
    REALS,
    Apply,
    Combination,
    Formula,
    Listing,
    Matrix,
    Rational,
    RealInterval,
    Symbol,
    Unreadable,
    Value,
    WithUnit,
    negative,
)


def is_formula(value: Value) -> TypeGuard[Formula]:
    return isinstance(value, Rational | Symbol | Apply | Matrix)


def formula(value: Value) -> Formula:
    """The value as something to calculate with. Raises ``Unreadable``."""
    if is_formula(value):
        return value
    raise Unreadable


def listed(value: Value) -> tuple[Value, ...]:
    """The members of a list without brackets, or the value itself."""
    return value.items if isinstance(value, Listing) and value.brackets == "" else (value,)


def is_set(value: Value) -> bool:
    return isinstance(value, Listing | Combination | RealInterval) or value == REALS


def combine(operation: str, left: Value, right: Value) -> Combination:
    """Sets joined by an operation, flattened where the order does not matter."""
    parts: list[Value] = []
    for each in (left, right):
        if isinstance(each, Combination) and each.operation == operation != "difference":
            parts += each.parts
        else:
            parts.append(each)
    return Combination(operation, tuple(parts))  # type: ignore[arg-type]


def replaced(value: Formula, old: Symbol, new: Symbol) -> Formula:
    if value == old:
        return new
    if not isinstance(value, Apply):
        return value
    return Apply(value.function, tuple(replaced(each, old, new) for each in value.arguments))


def symbols(value: Formula) -> frozenset[str]:
    """The unknowns of a formula, functions of which nothing is known among them."""
    match value:
        case Rational():
            return frozenset()
        case Symbol():
            return frozenset() if value in CONSTANTS else frozenset((value.name,))
        case Matrix(rows):
            return frozenset().union(*(symbols(each) for row in rows for each in row))
        case Apply(function, arguments):
            own = (
                ()
                if function in FUNCTIONS or function in ("+", "*", "^", "pm", "mp")
                else (function,)
            )
            return frozenset(own).union(*map(symbols, arguments))


def finished(value: Value) -> Value:
    r"""With ``\pm`` as two values, and degrees that no function takes as a unit."""
    if not isinstance(value, Apply):
        return value
    if has(value, "pm", "mp"):
        both = (finished(_with_sign(value, 1)), finished(_with_sign(value, -1)))
        return Listing("", both)
    bare = _undegreed(value)
    return value if bare == value else WithUnit(bare, "degree")


def without_degrees(value: Value) -> Value:
    return value.value if isinstance(value, WithUnit) and value.unit == "degree" else value


def has(value: Formula, *functions: str) -> bool:
    return isinstance(value, Apply) and (
        value.function in functions or any(has(each, *functions) for each in value.arguments)
    )


def _with_sign(value: Formula, sign: int) -> Formula:
    if not isinstance(value, Apply):
        return value
    arguments = tuple(_with_sign(each, sign) for each in value.arguments)
    if value.function not in ("pm", "mp"):
        return Apply(value.function, arguments)
    base, term = arguments
    positive = (value.function == "pm") == (sign == 1)
    return Apply("+", (base, term if positive else negative(term)))


def _undegreed(value: Formula) -> Formula:
    if not isinstance(value, Apply) or value.function not in ("+", "*", "^", "degrees"):
        return value
    if value.function == "degrees":
        return value.arguments[0]
    return Apply(value.function, tuple(map(_undegreed, value.arguments)))
