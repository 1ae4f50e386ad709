r"""Formulas, tuples, sets and matrices out of tokens, by recursive descent.

Multiplication may go unwritten, functions may go without parentheses (\sin 2x), and a number before
a fraction is a mixed one (3 1/2). Whatever is not understood raises ``Unreadable``: a formula is
read as a whole or not at all.
"""

from collections.abc import Callable
from fractions import Fraction

from orchestrator.tasks.math.shapes import combine, formula, is_set, listed, replaced
from orchestrator.tasks.math.terms import (
    EMPTY,
    FUNCTIONS,
    REALS,
    Apply,
    Based,
    Brackets,
    Formula,
    Matrix,
    Number,
    Sequence,
    Symbol,
    Value,
    add,
    divide,
    multiply,
    negative,
    power,
    words,
)
from orchestrator.tasks.math.tokens import CLOSERS, CLOSING, Cursor, Token, Unreadable, split

MAX_DEPTH = 40

_BRACKETS: dict[str, Brackets] = {
    "()": "()", "[]": "[]", "(]": "(]", "[)": "[)", r"\{\}": "{}", r"\langle\rangle": "()",
    "{}": "",
}  # fmt: skip
_FUNCTION_LETTERS = frozenset("fghFGHPQW")
_GREEK = words(
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta kappa lambda mu nu xi rho"
    " sigma tau phi psi chi omega Gamma Delta Theta Lambda Sigma Phi Psi Omega ell"
)
_TRIGONOMETRIC = words("sin cos tan cot sec csc")
_BASES = {
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "sixteen": 16,
}  # fmt: skip
_SET_OPERATIONS = {r"\cup": "union", r"\cap": "intersection", r"\setminus": "difference"}
MATRICES = ("pmatrix", "bmatrix", "matrix", "array", "smallmatrix", "Bmatrix")

ONE, TWO = Number(Fraction(1)), Number(Fraction(2))

Statement = Callable[[list[Token]], Value]


def _braced(value: Value) -> Value:
    """A set whose braces LaTeX does not show: {1, 3} beside \\cup."""
    if isinstance(value, Sequence) and value.brackets == "":
        return Sequence("{}", value.items)
    return value


class FormulaReader(Cursor):
    """Reads one value out of ``tokens``, of which none may be left.

    ``statement`` reads the elements of tuples and sets, which may have names and units.
    """

    def __init__(self, tokens: list[Token], statement: Statement, depth: int = 0) -> None:
        super().__init__(tokens)
        self._statement = statement
        self._depth = depth
        self._bars = 0

    def whole(self) -> Value:
        """Raises ``Unreadable`` where the tokens are no value or more than one."""
        value = self._sets()
        if self._token.kind != "end":
            raise Unreadable
        return value

    def _sets(self) -> Value:
        value = self._sum()
        while self._token.text in _SET_OPERATIONS:
            operation = _SET_OPERATIONS[self._next().text]
            value = combine(operation, _braced(value), _braced(self._sum()))
        return value

    def _sum(self) -> Value:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Unreadable
        value = self._product()
        terms: list[Formula] = []
        while self._token.kind in ("symbol", "command") and self._token.text in (
            "+",
            "-",
            r"\pm",
            r"\mp",
        ):
            sign = self._next().text
            other = self._product()
            if sign == "-" and not terms and is_set(value) and is_set(other):
                value = combine("difference", value, other)
                continue
            terms = terms or [formula(value)]
            term = formula(other)
            if sign in (r"\pm", r"\mp"):
                terms = [Apply(sign[1:], (add(*terms), term))]
            else:
                terms.append(negative(term) if sign == "-" else term)
        self._depth -= 1
        return add(*terms) if terms else value

    def _product(self) -> Value:
        if self._accept("-"):
            return negative(formula(self._product()))
        if self._accept("+"):
            return self._product()
        if self._token.text in (r"\pm", r"\mp"):
            sign = self._next().text[1:]
            return Apply(sign, (Number(Fraction(0)), formula(self._product())))
        value = self._factor()
        factors: list[Formula] = []
        while True:
            if self._accept("*"):
                other = self._signed()
            elif self._accept("/"):
                factors = factors or [formula(value)]
                factors[-1] = divide(factors[-1], formula(self._signed()))
                continue
            elif self._starts_factor():
                other = self._factor()
            else:
                break
            factors = factors or [formula(value)]
            factors.append(formula(other))
        return multiply(*factors) if factors else value

    def _signed(self) -> Value:
        """A factor that may have a sign of its own: 3 \\cdot -2."""
        if self._accept("-"):
            return negative(formula(self._signed()))
        return self._factor()

    def _starts_factor(self) -> bool:
        token = self._token
        if token.kind in ("end", "text"):
            return False
        if token.kind == "number":  # 2 3 is not 6
            return self._tokens[self._position - 1].kind != "number"
        if token.kind == "symbol":
            return token.text in ("(", "[", "{") or (token.text == "|" and not self._bars)
        if token.kind == "command":
            return token.text in (r"\frac", r"\{", r"\lfloor", r"\lceil", r"\sqrt", r"\binom") or (
                token.text[1:] in _GREEK or token.text.startswith((r"\begin", r"\mathbb"))
            )
        return token.text not in ("and", "or", "to", "mod")

    def _factor(self) -> Value:
        value = self._atom()
        while True:
            if self._token.text == "^" and self._peek().text == r"\circ":
                self._position += 2
                value = Apply("degrees", (formula(value),))
            elif self._accept("^"):
                value = power(formula(value), self._exponent())
            elif self._token.text == "!" and self._token.kind == "symbol":
                self._position += 1
                is_double = self._accept("!")
                value = Apply("factorial2" if is_double else "factorial", (formula(value),))
            else:
                return value

    def _exponent(self) -> Formula:
        if self._accept("{"):
            exponent = formula(self._sets())
            self._expect("}")
            return exponent
        if self._accept("-"):
            return negative(self._exponent())
        base = formula(self._atom())
        return power(base, self._exponent()) if self._accept("^") else base

    def _atom(self) -> Value:
        token = self._next()
        if token.kind == "number":
            return self._number(token)
        if token.kind == "letter":
            return self._letter(token.text)
        if token.kind == "name":
            return self._name(token.text)
        if token.text == "|":
            self._bars += 1
            inside = formula(self._sum())
            self._bars -= 1
            self._expect("|")
            return Apply("abs", (inside,))
        if token.text in CLOSING:
            return self._bracketed(token.text)
        if token.kind == "command":
            return self._command(token.text)
        raise Unreadable

    def _number(self, token: Token) -> Value:
        assert token.number is not None
        value = Number(token.number, token.is_decimal)
        if self._token.text == "_":
            return self._based(token.text)
        if token.number.denominator != 1:
            return value
        over, slash, under = self._token, self._peek(), self._peek(2)
        if over.kind == "number" and over.is_spaced and slash.text == "/" and under.number:
            assert over.number is not None
            self._position += 3
            return Number(token.number + over.number / under.number)
        if over.text == r"\frac":
            start = self._position
            fraction = self._atom()
            if isinstance(fraction, Number) and 0 < fraction.value < 1:
                return Number(token.number + fraction.value)
            self._position = start
        return value

    def _based(self, digits: str) -> Value:
        self._expect("_")
        base = self._subscript()
        if isinstance(base, Number) and base.value.denominator == 1 and digits.isalnum():
            return Based(digits, int(base.value))
        raise Unreadable

    def _subscript(self) -> Formula | str:
        """A formula, or the word that is the subscript."""
        is_group = self._accept("{")
        start, word = self._position, ""
        while self._token.kind in ("letter", "text") and (is_group or not word):
            word += self._next().text
        if word and (not is_group or self._accept("}")):
            if word.casefold() in _BASES:
                return Number(Fraction(_BASES[word.casefold()]))
            return Symbol(word) if len(word) == 1 else word
        self._position = start
        if not is_group:
            return formula(self._atom())
        found = formula(self._sum())
        self._expect("}")
        return found

    def _letter(self, letter: str) -> Value:
        name = letter
        while self._accept("'"):
            name += "'"
        symbol = Symbol(name)
        if self._token.text == "_":
            self._position += 1
            index = self._subscript()
            if isinstance(index, Number):
                symbol = Symbol(f"{name}_{index.value}")
            elif isinstance(index, str):
                symbol = Symbol(f"{name}_{index}")
            else:
                return Apply(f"{name}_", (index,))
            name = symbol.name
        if self._token.text == "'":
            raise Unreadable
        if self._token.text == "(" and not self._token.is_spaced and name:
            if name in "CP" and (chosen := self._chosen(name)) is not None:
                return chosen
            if name[0] in _FUNCTION_LETTERS or "'" in name:
                return Apply(name, self._arguments())
        return symbol

    def _chosen(self, name: str) -> Formula | None:
        """C(5, 2) and P(5, 2)."""
        start = self._position
        try:
            arguments = self._arguments()
        except Unreadable:
            arguments = ()
        if len(arguments) == 2:
            return Apply("binomial" if name == "C" else "permutations", arguments)
        self._position = start
        return None

    def _arguments(self) -> tuple[Formula, ...]:
        self._expect("(")
        found = [formula(self._sets())]
        while self._accept(","):
            found.append(formula(self._sets()))
        self._expect(")")
        return tuple(found)

    def _name(self, name: str) -> Value:
        if name in ("pi", "oo"):
            return Symbol(name)
        if name in _GREEK:
            return self._letter(name)
        if name == "sqrt":
            return self._root()
        if name in ("sum", "product"):
            return self._series(name)
        if name not in FUNCTIONS:
            raise Unreadable
        base = exponent = None
        while self._token.text in ("_", "^"):
            if self._accept("_"):
                index = self._group()
                base = index
            elif self._peek().text == "'":
                raise Unreadable
            else:
                self._position += 1
                exponent = self._exponent()
        if name == "log":
            found: Formula = Apply("log", (self._argument(), base or Number(Fraction(10))))
        elif name in ("max", "min", "gcd", "lcm", "binomial", "permutations"):
            found = Apply(name, self._arguments())
        else:
            inverse = exponent == Number(Fraction(-1)) and name in _TRIGONOMETRIC
            found = Apply(f"arc{name}" if inverse else name, (self._argument(),))
            exponent = None if inverse else exponent
        return found if exponent is None else power(found, exponent)

    def _argument(self) -> Formula:
        """What a function is of: what is in brackets, or all that is multiplied after it."""
        if self._token.text in ("(", "{", "[", "|"):
            return formula(self._atom())
        if self._accept("-"):
            return negative(self._argument())
        factors = [formula(self._factor())]
        while self._starts_factor() and self._token.text not in ("(", "["):
            if self._token.kind == "name" and not self._is_constant():
                break  # \sin x \cos x
            factors.append(formula(self._factor()))
        return multiply(*factors)

    def _is_constant(self) -> bool:
        return self._token.text in ("pi", "oo", "sqrt") or self._token.text in _GREEK

    def _root(self) -> Formula:
        index: Formula = TWO
        if self._accept("["):
            index = formula(self._sum())
            self._expect("]")
        radicand = formula(self._atom())
        return Apply("root", (radicand, index))

    def _series(self, name: str) -> Formula:
        self._expect("_")
        self._expect("{")
        variable = formula(self._atom())
        self._expect("=")
        low = formula(self._sum())
        self._expect("}")
        self._expect("^")
        high = self._exponent()
        body = formula(self._product())
        if not isinstance(variable, Symbol):
            raise Unreadable
        bound = Symbol(f"{variable.name} bound")  # be it i, it is no constant here
        return Apply(name, (replaced(body, variable, bound), bound, low, high))

    def _command(self, name: str) -> Value:
        if name in (r"\frac", r"\binom"):
            over, under = self._group(), self._group()
            if name == r"\binom":
                return Apply("binomial", (over, under))
            if isinstance(over, Number) and isinstance(under, Number) and under.value:
                return Number(over.value / under.value, over.is_decimal or under.is_decimal)
            return divide(over, under)
        if name == r"\sqrt":
            return self._root()
        if name == r"\sum":
            return self._series("sum")
        if name == r"\prod":
            return self._series("product")
        if name == r"\emptyset":
            return EMPTY
        if name.startswith(r"\mathbb"):
            return REALS if name == r"\mathbb{R}" else Symbol(name[8:-1] + "*")
        if name.startswith(r"\begin{"):
            return self._matrix(name[7:-1].rstrip("*"))
        if name[1:] in _GREEK:
            return self._letter(name)
        raise Unreadable

    def _group(self) -> Formula:
        """What LaTeX takes as one argument: braces, or one digit or letter."""
        if self._accept("{"):
            value = formula(self._sets())
            self._expect("}")
            return value
        token = self._token
        if token.kind == "number" and token.text.isdigit() and len(token.text) > 1:
            rest = token.text[1:]
            self._tokens[self._position] = Token(
                "number", rest, token.start + 1, token.end, Fraction(rest)
            )
            return Number(Fraction(token.text[0]))
        return formula(self._atom())

    def _matrix(self, kind: str) -> Value:
        if kind not in MATRICES:
            raise Unreadable
        rows: list[tuple[Formula, ...]] = []
        row: list[Formula] = []
        while True:
            if self._token.text == rf"\end{{{kind}}}" and not row:
                self._position += 1
                break
            row.append(formula(self._sets()))
            if self._accept("&"):
                continue
            rows.append(tuple(row))
            row = []
            if self._accept(r"\\"):
                continue
            self._expect(rf"\end{{{kind}}}")
            break
        if not rows or len({len(each) for each in rows}) != 1:
            raise Unreadable
        return Matrix(tuple(rows))

    def _bracketed(self, opening: str) -> Value:
        """What stands in brackets: a group, or the elements of a tuple, interval or set."""
        closing_at = self._closing()
        inner = self._tokens[self._position : closing_at]
        closing = self._tokens[closing_at].text
        if closing not in CLOSING[opening]:
            raise Unreadable
        self._position = closing_at + 1
        if opening in (r"\lfloor", r"\lceil"):
            name = "floor" if opening == r"\lfloor" else "ceiling"
            return Apply(name, (formula(self._within(inner)),))
        if opening == r"\{":
            return self._set(inner)
        brackets = _BRACKETS.get(opening + closing)
        items = split(inner, ",", ";")
        if len(items) == 1 and opening != r"\langle":
            if brackets is None or brackets not in ("()", "[]", ""):
                raise Unreadable
            value = self._within(inner)
            if self._token.text == "_" and isinstance(value, Number):
                return self._based(inner[0].text)
            return value
        if brackets is None or (brackets in ("(]", "[)") and len(items) != 2):
            raise Unreadable
        return Sequence(brackets, tuple(self._statement(each) for each in items))

    def _set(self, inner: list[Token]) -> Value:
        if not inner:
            return EMPTY
        bars = split(inner, "|", ":")
        if len(bars) == 2:
            condition = self._statement(bars[1])
            return getattr(condition, "value", condition)
        items = [self._statement(each) for each in split(inner, ",", ";", "and")]
        return Sequence("{}", tuple(each for item in items for each in listed(item)))

    def _within(self, tokens: list[Token]) -> Value:
        return FormulaReader(tokens, self._statement, self._depth).whole()

    def _closing(self) -> int:
        """Where the bracket before the position closes. Raises ``Unreadable``."""
        depth = 1
        for i in range(self._position, len(self._tokens)):
            token = self._tokens[i]
            if token.kind not in ("symbol", "command"):
                continue
            depth += token.text in CLOSING
            depth -= token.text in CLOSERS
            if depth == 0:
                return i
        raise Unreadable
