r"""Names in formulas: letters with their subscripts, constants, functions with their arguments.

Functions may go without parentheses (\sin 2x).
"""

from fractions import Fraction

from orchestrator.tasks.math.reading.grammar import Grammar
from orchestrator.tasks.math.shapes import formula, replaced
from orchestrator.tasks.math.terms import (
    FUNCTIONS,
    Apply,
    Based,
    Formula,
    Rational,
    Symbol,
    Unreadable,
    Value,
    multiply,
    negative,
    power,
    words,
)

GREEK = words(
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta kappa lambda mu nu xi rho"
    " sigma tau phi psi chi omega Gamma Delta Theta Lambda Sigma Phi Psi Omega ell"
)
_FUNCTION_LETTERS = frozenset("fghFGHPQW")
_TRIGONOMETRIC = words("sin cos tan cot sec csc")
_BASES = {
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "sixteen": 16,
}  # fmt: skip


def letter(reader: Grammar, name: str) -> Value:
    """An unknown or function by its letter, with what is attached: primes, subscript, arguments."""
    while reader.accept("'"):
        name += "'"
    symbol = Symbol(name)
    if reader.token.text == "_":
        reader.position += 1
        index = _subscript(reader)
        if isinstance(index, Rational):
            symbol = Symbol(f"{name}_{index.value}")
        elif isinstance(index, str):
            symbol = Symbol(f"{name}_{index}")
        else:
            return Apply(f"{name}_", (index,))
        name = symbol.name
    if reader.token.text == "'":
        raise Unreadable
    if reader.token.text == "(" and not reader.token.is_spaced and name:
        if name in "CP" and (chosen := _chosen(reader, name)) is not None:
            return chosen
        if name[0] in _FUNCTION_LETTERS or "'" in name:
            return Apply(name, _arguments(reader))
    return symbol


def _subscript(reader: Grammar) -> Formula | str:
    """A formula, or the word that is the subscript."""
    is_group = reader.accept("{")
    start, word = reader.position, ""
    while reader.token.kind in ("letter", "text") and (is_group or not word):
        word += reader.take().text
    if word and (not is_group or reader.accept("}")):
        if word.casefold() in _BASES:
            return Rational(Fraction(_BASES[word.casefold()]))
        return Symbol(word) if len(word) == 1 else word
    reader.position = start
    if not is_group:
        return formula(reader.atom())
    found = formula(reader.sum())
    reader.expect("}")
    return found


def based(reader: Grammar, digits: str) -> Value:
    """``digits`` in the base that their subscript names."""
    reader.expect("_")
    base = _subscript(reader)
    if isinstance(base, Rational) and base.value.denominator == 1 and digits.isalnum():
        return Based(digits, int(base.value))
    raise Unreadable


def _chosen(reader: Grammar, name: str) -> Formula | None:
    """C(5, 2) and P(5, 2)."""
    start = reader.position
    try:
        arguments = _arguments(reader)
    except Unreadable:
        arguments = ()
    if len(arguments) == 2:
        return Apply("binomial" if name == "C" else "permutations", arguments)
    reader.position = start
    return None


def _arguments(reader: Grammar) -> tuple[Formula, ...]:
    reader.expect("(")
    found = [formula(reader.sets())]
    while reader.accept(","):
        found.append(formula(reader.sets()))
    reader.expect(")")
    return tuple(found)


def named(reader: Grammar, name: str) -> Value:
    """What a run of letters means: a constant, a Greek letter, a function with its argument."""
    if name in ("pi", "oo"):
        return Symbol(name)
    if name in GREEK:
        return letter(reader, name)
    if name == "sqrt":
        return root(reader)
    if name in ("sum", "product"):
        return series(reader, name)
    if name not in FUNCTIONS:
        raise Unreadable
    base: Formula | None = None
    exponent: Formula | None = None
    while reader.token.text in ("_", "^"):
        if reader.accept("_"):
            base = reader.group()
        elif reader.peek().text == "'":
            raise Unreadable
        else:
            reader.position += 1
            exponent = reader.exponent()
    if name == "log":
        found: Formula = Apply("log", (_argument(reader), base or Rational(Fraction(10))))
    elif name in ("max", "min", "gcd", "lcm", "binomial", "permutations"):
        found = Apply(name, _arguments(reader))
    else:
        inverse = exponent == Rational(Fraction(-1)) and name in _TRIGONOMETRIC
        found = Apply(f"arc{name}" if inverse else name, (_argument(reader),))
        exponent = None if inverse else exponent
    return found if exponent is None else power(found, exponent)


def _argument(reader: Grammar) -> Formula:
    """What a function is of: what is in brackets, or all that is multiplied after it."""
    if reader.token.text in ("(", "{", "[", "|"):
        return formula(reader.atom())
    if reader.accept("-"):
        return negative(_argument(reader))
    factors = [formula(reader.factor())]
    while reader.starts_factor() and reader.token.text not in ("(", "["):
        if reader.token.kind == "name" and not _is_constant(reader):
            break  # \sin x \cos x
        factors.append(formula(reader.factor()))
    return multiply(*factors)


def _is_constant(reader: Grammar) -> bool:
    return reader.token.text in ("pi", "oo", "sqrt") or reader.token.text in GREEK


def root(reader: Grammar) -> Formula:
    """A square root, or that of the index in brackets."""
    index: Formula = Rational(Fraction(2))
    if reader.accept("["):
        index = formula(reader.sum())
        reader.expect("]")
    radicand = formula(reader.atom())
    return Apply("root", (radicand, index))


def series(reader: Grammar, name: str) -> Formula:
    """A sum or product over a variable, from a lower to an upper bound."""
    reader.expect("_")
    reader.expect("{")
    variable = formula(reader.atom())
    reader.expect("=")
    low = formula(reader.sum())
    reader.expect("}")
    reader.expect("^")
    high = reader.exponent()
    body = formula(reader.product())
    if not isinstance(variable, Symbol):
        raise Unreadable
    bound = Symbol(f"{variable.name} bound")  # be it i, it is no constant here
    return Apply(name, (replaced(body, variable, bound), bound, low, high))
