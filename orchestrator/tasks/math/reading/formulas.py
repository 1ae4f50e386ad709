r"""Formulas out of tokens, by recursive descent.

Multiplication may go unwritten, and a number before a fraction is a mixed one (3 1/2). Whatever is
not understood raises ``Unreadable``: a formula is read as a whole or not at all.
"""

from fractions import Fraction

from orchestrator.tasks.math.reading.brackets import bracketed, matrix
from orchestrator.tasks.math.reading.cursor import CLOSING
from orchestrator.tasks.math.reading.grammar import Grammar, Statement
from orchestrator.tasks.math.reading.names import GREEK, based, letter, named, root, series
from orchestrator.tasks.math.reading.tokens import Token
from orchestrator.tasks.math.shapes import combine, formula, is_set
from orchestrator.tasks.math.terms import (
    EMPTY,
    REALS,
    Apply,
    Formula,
    Listing,
    Rational,
    Symbol,
    Unreadable,
    Value,
    add,
    divide,
    multiply,
    negative,
    power,
)

MAX_DEPTH = 40

_SET_OPERATIONS = {r"\cup": "union", r"\cap": "intersection", r"\setminus": "difference"}


def _braced(value: Value) -> Value:
    """A set whose braces LaTeX does not show: {1, 3} beside \\cup."""
    if isinstance(value, Listing) and value.brackets == "":
        return Listing("{}", value.items)
    return value


class FormulaReader(Grammar):
    """Reads one value out of ``tokens``, of which none may be left.

    ``statement`` reads the elements of tuples and sets, which may have names and units.
    """

    def __init__(self, tokens: list[Token], statement: Statement, depth: int = 0) -> None:
        super().__init__(tokens)
        self.statement = statement
        self._depth = depth
        self._bars = 0

    def whole(self) -> Value:
        """Raises ``Unreadable`` where the tokens are no value or more than one."""
        value = self.sets()
        if self.token.kind != "end":
            raise Unreadable
        return value

    def sets(self) -> Value:
        value = self.sum()
        while self.token.text in _SET_OPERATIONS:
            operation = _SET_OPERATIONS[self.take().text]
            value = combine(operation, _braced(value), _braced(self.sum()))
        return value

    def sum(self) -> Value:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Unreadable
        value = self.product()
        terms: list[Formula] = []
        while self.token.kind in ("symbol", "command") and self.token.text in (
            "+",
            "-",
            r"\pm",
            r"\mp",
        ):
            sign = self.take().text
            other = self.product()
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

    def product(self) -> Value:
        if self.accept("-"):
            return negative(formula(self.product()))
        if self.accept("+"):
            return self.product()
        if self.token.text in (r"\pm", r"\mp"):
            sign = self.take().text[1:]
            return Apply(sign, (Rational(Fraction(0)), formula(self.product())))
        value = self.factor()
        factors: list[Formula] = []
        while True:
            if self.accept("*"):
                other = self._signed()
            elif self.accept("/"):
                factors = factors or [formula(value)]
                factors[-1] = divide(factors[-1], formula(self._signed()))
                continue
            elif self.starts_factor():
                other = self.factor()
            else:
                break
            factors = factors or [formula(value)]
            factors.append(formula(other))
        return multiply(*factors) if factors else value

    def _signed(self) -> Value:
        """A factor that may have a sign of its own: 3 \\cdot -2."""
        if self.accept("-"):
            return negative(formula(self._signed()))
        return self.factor()

    def starts_factor(self) -> bool:
        token = self.token
        if token.kind in ("end", "text"):
            return False
        if token.kind == "number":  # 2 3 is not 6
            return self.tokens[self.position - 1].kind != "number"
        if token.kind == "symbol":
            return token.text in ("(", "[", "{") or (token.text == "|" and not self._bars)
        if token.kind == "command":
            return token.text in (r"\frac", r"\{", r"\lfloor", r"\lceil", r"\sqrt", r"\binom") or (
                token.text[1:] in GREEK or token.text.startswith((r"\begin", r"\mathbb"))
            )
        return token.text not in ("and", "or", "to", "mod")

    def factor(self) -> Value:
        value = self.atom()
        while True:
            if self.token.text == "^" and self.peek().text == r"\circ":
                self.position += 2
                value = Apply("degrees", (formula(value),))
            elif self.accept("^"):
                value = power(formula(value), self.exponent())
            elif self.token.text == "!" and self.token.kind == "symbol":
                self.position += 1
                is_double = self.accept("!")
                value = Apply("factorial2" if is_double else "factorial", (formula(value),))
            else:
                return value

    def exponent(self) -> Formula:
        if self.accept("{"):
            exponent = formula(self.sets())
            self.expect("}")
            return exponent
        if self.accept("-"):
            return negative(self.exponent())
        base = formula(self.atom())
        return power(base, self.exponent()) if self.accept("^") else base

    def atom(self) -> Value:
        token = self.take()
        if token.kind == "number":
            return self._number(token)
        if token.kind == "letter":
            return letter(self, token.text)
        if token.kind == "name":
            return named(self, token.text)
        if token.text == "|":
            self._bars += 1
            inside = formula(self.sum())
            self._bars -= 1
            self.expect("|")
            return Apply("abs", (inside,))
        if token.text in CLOSING:
            return bracketed(self, token.text)
        if token.kind == "command":
            return self._command(token.text)
        raise Unreadable

    def _number(self, token: Token) -> Value:
        assert token.number is not None
        value = Rational(token.number, token.is_decimal)
        if self.token.text == "_":
            return based(self, token.text)
        if token.number.denominator != 1:
            return value
        over, slash, under = self.token, self.peek(), self.peek(2)
        if over.kind == "number" and over.is_spaced and slash.text == "/" and under.number:
            assert over.number is not None
            self.position += 3
            return Rational(token.number + over.number / under.number)
        if over.text == r"\frac":
            start = self.position
            fraction = self.atom()
            if isinstance(fraction, Rational) and 0 < fraction.value < 1:
                return Rational(token.number + fraction.value)
            self.position = start
        return value

    def _command(self, name: str) -> Value:
        if name in (r"\frac", r"\binom"):
            over, under = self.group(), self.group()
            if name == r"\binom":
                return Apply("binomial", (over, under))
            if isinstance(over, Rational) and isinstance(under, Rational) and under.value:
                return Rational(over.value / under.value, over.is_decimal or under.is_decimal)
            return divide(over, under)
        if name == r"\sqrt":
            return root(self)
        if name == r"\sum":
            return series(self, "sum")
        if name == r"\prod":
            return series(self, "product")
        if name == r"\emptyset":
            return EMPTY
        if name.startswith(r"\mathbb"):
            return REALS if name == r"\mathbb{R}" else Symbol(name[8:-1] + "*")
        if name.startswith(r"\begin{"):
            return matrix(self, name[7:-1].rstrip("*"))
        if name[1:] in GREEK:
            return letter(self, name)
        raise Unreadable

    def group(self) -> Formula:
        """What LaTeX takes as one argument: braces, or one digit or letter."""
        if self.accept("{"):
            value = formula(self.sets())
            self.expect("}")
            return value
        token = self.token
        if token.kind == "number" and token.text.isdigit() and len(token.text) > 1:
            rest = token.text[1:]
            self.tokens[self.position] = Token(
                "number", rest, token.start + 1, token.end, Fraction(rest)
            )
            return Rational(Fraction(token.text[0]))
        return formula(self.atom())

    def within(self, tokens: list[Token]) -> Value:
        return FormulaReader(tokens, self.statement, self._depth).whole()
