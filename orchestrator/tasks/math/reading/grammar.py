"""What the readers of names and of brackets ask of the reader of formulas around them."""

from abc import ABC, abstractmethod
from collections.abc import Callable

from orchestrator.tasks.math.reading.cursor import Cursor
from orchestrator.tasks.math.reading.tokens import Token
from orchestrator.tasks.math.terms import Formula, Value

Statement = Callable[[list[Token]], Value]
"""Reads an element of a tuple or set, which may have a name and a unit."""


class Grammar(Cursor, ABC):
    """Reads on from where the cursor stands. Every method raises ``Unreadable``."""

    statement: Statement

    @abstractmethod
    def sets(self) -> Value:
        """Sums, united, intersected or subtracted as sets: all that brackets may hold."""

    @abstractmethod
    def sum(self) -> Value: ...

    @abstractmethod
    def product(self) -> Value: ...

    @abstractmethod
    def factor(self) -> Value:
        """An atom with its powers, factorials and degrees."""

    @abstractmethod
    def starts_factor(self) -> bool:
        """Whether the next token begins a factor whose multiplication goes unwritten."""

    @abstractmethod
    def exponent(self) -> Formula: ...

    @abstractmethod
    def atom(self) -> Value:
        """A number, name, bracket or command."""

    @abstractmethod
    def group(self) -> Formula:
        """What LaTeX takes as one argument: braces, or one digit or letter."""

    @abstractmethod
    def within(self, tokens: list[Token]) -> Value:
        """The one value of ``tokens``, which stand in brackets here."""
