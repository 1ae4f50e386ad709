"""Routers decide which arm a problem gets, from its pilots."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from orchestrator.core.difficulty import BINS, Bin, difficulty
from orchestrator.core.equivalence import classes_of
from orchestrator.core.node import Node
from orchestrator.core.records import LookTaken, PlanName
from orchestrator.errors import ProfileError
from orchestrator.optimal.allocation import Allocation
from orchestrator.optimal.arms import Arm
from orchestrator.optimal.difficulty.evidence import Pilot, features
from orchestrator.optimal.difficulty.predictor import Predictor
from orchestrator.optimal.profile import Profile, Unit
from orchestrator.optimal.profiling.crossfit import SPREADS, Spread
from orchestrator.optimal.routing.published import LABEL, published_rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The arm for one problem, and why: its ``predicted`` pass@1, the bin of that, and the ``rule``
    that decided. ``cut``: with a larger pool the problem would have continued.

    Across models ``policy`` and ``prm`` are those of the arm, which may be ``direct`` (see
    ``ModelArm``), ``looks`` were taken before it, and ``predicted`` is the score of the first:
    None, and the bin ``ALL``, where there was none. Where two plans are mixed, ``plan`` is the one
    that decided.
    """

    arm: Arm
    predicted: float | None
    bin: Bin | Literal["all"]
    rule: str
    cut: bool = False
    policy: str | None = None
    prm: str | None = None
    looks: tuple[LookTaken, ...] = ()
    plan: PlanName | None = None
    direct: bool = False


class Router(Protocol):
    """Decides which arm a problem gets."""

    pilots: int

    @property
    def reads(self) -> Collection[str]:
        """The features of pilots that it decides by."""
        ...

    @property
    def arms(self) -> Sequence[Arm]:
        """The arms that a problem may get."""
        ...

    def decide(self, pilots: Sequence[Node]) -> Decision:
        """Choose an arm from a problem's scored pilots, the greedy one first."""
        ...


def evidence(pilots: Sequence[Node]) -> dict[str, float]:
    """The features of pilots that a predictor uses."""
    return features(as_pilots(pilots, classes_of(pilots)), len(pilots[0].question))


def as_pilots(nodes: Sequence[Node], classes: Sequence[int | None]) -> list[Pilot]:
    """Solutions as evidence, with the classes of their answers."""
    return [
        Pilot(
            answer=answer,
            scores=each.scores,
            tokens=each.tokens,
            confidence=each.confidence,
            question_logprob=each.question_logprob,
        )
        for each, answer in zip(nodes, classes, strict=True)
    ]


def read_pilots(predictor: Predictor, pilots: Sequence[Node]) -> tuple[float, Bin]:
    """The pass@1 predicted from pilots, and its bin."""
    predicted = predictor(evidence(pilots))
    return predicted, difficulty(predicted)


class ProfileRouter:
    """Routes by a profile within a ``budget`` in ``unit`` per problem: on average over problems, or
    for each of them, as ``spread`` says."""

    def __init__(
        self, profile: Profile, budget: float, *, unit: Unit = "tokens", spread: Spread = "average"
    ) -> None:
        self.profile = profile
        self.pilots = profile.pilots
        self._spread = spread
        self._shares = [profile.shares[bin].share for bin in BINS]
        self._fronts = profile.fronts()
        self._right = [
            [arm.bins[bin].expected if bin in arm.bins else 0.0 for arm in profile.arms]
            for bin in BINS
        ]
        self._used = profile.used(unit)
        self.least = self.choose(0.0).used
        if budget < self.least:
            raise ProfileError(
                f"a budget of {budget:g} {unit} a problem is less than the pilots take: "
                f"{self.least:.4g} is the least"
            )
        self.choice = self.choose(budget)

    @property
    def reads(self) -> Collection[str]:
        return self.profile.predictor.weights

    def choose(self, budget: float) -> Allocation:
        """The allocation of arms to bins under a budget."""
        return SPREADS[self._spread](self._shares, self._fronts, self._right, self._used, budget)

    @property
    def arms(self) -> list[Arm]:
        return [self.profile.arms[arm].arm for arm in self.choice.arms]

    def decide(self, pilots: Sequence[Node]) -> Decision:
        predicted, bin = read_pilots(self.profile.predictor, pilots)
        arm = self.profile.arms[self.choice.arms[BINS.index(bin)]].arm
        return Decision(arm=arm, predicted=predicted, bin=bin, rule="profile")


class PublishedRouter:
    """Routes by the authors' rule. The bin comes from the agreement of the pilots, which is not a
    calibrated pass@1."""

    def __init__(self, task: str, policy_parameters: int | None, n: int, pilots: int) -> None:
        self._task, self._parameters, self._n = task, policy_parameters, n
        self.pilots = pilots
        self.reads = ("agreement",)

    @property
    def arms(self) -> list[Arm]:
        return [self._arm(bin) for bin in BINS]

    def _arm(self, bin: Bin) -> Arm:
        return published_rule(self._task, self._parameters, bin, self._n)

    def decide(self, pilots: Sequence[Node]) -> Decision:
        agreement = evidence(pilots)["agreement"]
        bin = difficulty(agreement)
        return Decision(arm=self._arm(bin), predicted=agreement, bin=bin, rule=LABEL)
