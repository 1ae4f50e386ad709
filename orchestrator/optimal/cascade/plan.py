"""A plan across models: what to look at, and which model answers with how much search. Pure.

A problem takes looks, the cheapest first: the question alone, which costs nothing, the greedy
solution of a policy, then its pilots unscored, then scored by a PRM. After each look a predictor
reads what all looks so far showed, and the bin of its score decides: answer by an arm of some
model, or take another look.

A run carries a plan out like this (``looks.shown`` makes the evidence)::

    action, taken = plan.first, []
    while isinstance(action, int):
        look = plan.looks[action].look
        ...                      # draw, or score, what the look lacks
        taken.append(look)
        action = plan.decide(action, shown(taken, drawn, characters)).action
    ...                          # answer by the arm

What was drawn of a policy is never drawn again, and never scored twice by one PRM. An arm of
``cot`` answers with its policy's greedy solution, which it draws where no look did. A direct arm
searches from the root, and only its own leaves vote. Any other arm first draws what is missing of
its policy's ``plan.pilots``, scores them where it has a PRM, and goes on from them as
``optimal.routing`` does from pilots.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from orchestrator.optimal.arms import Arm
from orchestrator.optimal.difficulty.predictor import Predictor


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is drawn to see how hard a problem is: ``pilots`` solutions of ``policy``.

    The first of them is the greedy one. Without pilots it is a look at the question alone, which
    asks no model. ``prm`` scores them all; None leaves them unscored.
    Policies and PRMs go by their names in the config.
    """

    policy: str
    prm: str | None
    pilots: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelArm:
    """An arm, and the models it runs on; ``prm`` is None where it needs no scores.

    A ``direct`` one is a tree search that starts without pilots, as an ordinary cell runs it.
    Raises ``ValueError`` where samples are to be direct: those go on from pilots at no extra cost.
    """

    policy: str
    prm: str | None
    arm: Arm
    direct: bool = False

    def __post_init__(self) -> None:
        if self.direct and self.arm.is_sampling:
            raise ValueError(f"{self.arm.strategy} is no tree search: it starts with pilots")


Action = ModelArm | int
"""Answer by an arm, or take the look of this number next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedLook:
    """A look and what follows on it.

    ``predictor`` gives a score, in 0..1: the chance that the best answer so far is right; after the
    question alone, that the policy's greedy answer will be.
    ``actions[b]`` is taken where the score lies between ``limits[b - 1]`` and ``limits[b]``, the
    former included; there is one action more than limits.
    """

    look: Look
    predictor: Predictor
    limits: tuple[float, ...]
    actions: tuple[Action, ...]

    def __post_init__(self) -> None:
        if len(self.actions) != len(self.limits) + 1:
            raise ValueError(f"{len(self.limits)} limits make {len(self.limits) + 1} bins")
        if any(low >= high for low, high in pairwise(self.limits)):
            raise ValueError("the limits of bins must ascend")


class NextAction(NamedTuple):
    """What to do next, and why: the ``score``, and the number of its ``bin``, hardest first."""

    action: Action
    score: float
    bin: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cascade:
    """What to do ``first``, and after each look.

    One ``Look`` may be there several times: each place in ``looks`` is reached by one way alone, so
    that its predictor always reads the same evidence. ``pilots`` are what every arm begins with
    but ``cot`` and direct ones. Raises ``ValueError`` for an action that leads back or nowhere.
    """

    pilots: int
    first: Action
    looks: tuple[PlannedLook, ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.first, int) and not 0 <= self.first < len(self.looks):
            raise ValueError(f"there is no look number {self.first}")
        for at, planned in enumerate(self.looks):
            for action in planned.actions:
                if isinstance(action, int) and not at < action < len(self.looks):
                    raise ValueError(f"look {at} cannot lead to look {action}")

    def decide(self, at: int, shown: Mapping[str, float]) -> NextAction:
        """What follows on look number ``at``, by what it and the looks before it showed."""
        planned = self.looks[at]
        score = planned.predictor(shown)
        bin = bisect_right(planned.limits, score)
        return NextAction(planned.actions[bin], score, bin)

    @property
    def arms(self) -> list[ModelArm]:
        """The arms that a problem may end with, each once."""
        found: list[ModelArm] = []
        for action in self._actions():
            if isinstance(action, ModelArm) and action not in found:
                found.append(action)
        return found

    @property
    def models(self) -> list[tuple[str, str | None]]:
        """The policies it may ask, each with the PRMs (or None) it may be scored by."""
        looked = [(each.look.policy, each.look.prm) for each in self.looks if each.look.pilots]
        return list(dict.fromkeys([*looked, *((arm.policy, arm.prm) for arm in self.arms)]))

    def _actions(self) -> Iterator[Action]:
        yield self.first
        for planned in self.looks:
            yield from planned.actions
