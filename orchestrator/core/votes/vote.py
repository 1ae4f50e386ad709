"""What a vote is, the majority, and what all other votes share."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from orchestrator.core.confidence import Confidence
from orchestrator.errors import ConfigError

ROUNDING = 1e-9
"""Numbers that are no further apart than this, relative to the larger, are equal."""


class Voter(Protocol):
    """What a vote knows of a solution: its PRM scores, one a step, none where unscored, and how
    sure the policy was of it, where its server said so."""

    @property
    def scores(self) -> Sequence[float]: ...

    @property
    def confidence(self) -> Confidence | None: ...


class Vote(Protocol):
    """How much each voter's ballot weighs."""

    @property
    def name(self) -> str:
        """Names its verdict in records; for example ``weighted_min``."""
        ...

    def weights(self, voters: Sequence[Voter], classes: Sequence[int]) -> Sequence[float | None]:
        """A weight of 0 or more for each voter, None where it abstains. ``classes[i]`` is the class
        of the ``i``-th voter's answer: equivalent answers have the same number."""
        ...


@dataclass(frozen=True, slots=True)
class Majority:
    """One leaf, one vote."""

    name: ClassVar[str] = "majority"

    def weights(self, voters: Sequence[Voter], classes: Sequence[int]) -> list[float | None]:
        return [1.0] * len(voters)


class ByValue(ABC):
    """A vote by one number a leaf, its PRM score or its confidence. A leaf without one abstains."""

    __slots__ = ()

    @property
    @abstractmethod
    def name(self) -> str: ...

    @abstractmethod
    def values(self, voters: Sequence[Voter]) -> list[float | None]:
        """The number of each leaf by itself, None where it is not known."""

    @abstractmethod
    def weigh(self, values: Sequence[float], classes: Sequence[int]) -> Sequence[float]:
        """The weights of the leaves that vote, one at least, from their values and classes."""

    def weights(self, voters: Sequence[Voter], classes: Sequence[int]) -> list[float | None]:
        values = self.values(voters)
        known = [(each, a) for each, a in zip(values, classes, strict=True) if each is not None]
        weights = iter(
            self.weigh([each for each, _ in known], [a for _, a in known]) if known else ()
        )
        return [None if each is None else next(weights) for each in values]


def first_of_the_highest(values: Sequence[float]) -> list[float]:
    """1 for the highest of ``values``, the first of equals, and 0 for the others."""
    best = values.index(max(values))
    return [float(i == best) for i in range(len(values))]


def unless_usual(usual: float, **setting: float) -> str:
    """The part of a vote's name that tells a setting: empty where it is the usual one."""
    ((key, each),) = setting.items()
    return "" if each == usual else f"_{key}{each:g}"


def check(name: str, setting: float, is_fine: bool, wanted: str) -> None:
    """Raises ``ConfigError`` unless a setting of a vote ``is_fine``."""
    if not is_fine:
        raise ConfigError(f"{name} = {setting:g} must lie {wanted}", (name,))
