"""The algebra that decides where form does not, as the comparison asks for it."""

from typing import Protocol

from orchestrator.tasks.math.terms import Formula, Relation, Value


class Algebra(Protocol):
    """What decides where form does not. None: cannot tell."""

    def formulas(self, left: Formula, right: Formula) -> bool | None: ...

    def equations(self, left: Relation, right: Relation) -> bool | None:
        """Whether two equations, or two inequalities, have the same solutions."""
        ...

    def sets(self, left: Value, right: Value) -> bool | None:
        """Whether two sets of real numbers are the same; relations stand for their solutions."""
        ...


class NoAlgebra:
    """Leaves everything open."""

    def formulas(self, left: Formula, right: Formula) -> bool | None:
        return None

    def equations(self, left: Relation, right: Relation) -> bool | None:
        return None

    def sets(self, left: Value, right: Value) -> bool | None:
        return None
