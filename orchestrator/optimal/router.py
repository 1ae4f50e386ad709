"""Which arm a problem gets: from what its pilots show, by a profile and a budget."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from orchestrator.core.difficulty import BINS, Bin, difficulty
from orchestrator.core.tree import Node
from orchestrator.errors import ProfileError
from orchestrator.optimal.arms import Arm
from orchestrator.optimal.choice import Choice
from orchestrator.optimal.crossfit import SPREADS, Spread
from orchestrator.optimal.evidence import Sample, features
from orchestrator.optimal.profile import Profile, Unit, Use
from orchestrator.optimal.published import LABEL, published_rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The arm for one problem, and why: its predicted pass@1, the bin of that, and by which
    ``rule``. ``expected`` is what it is expected to use of the budget."""

    arm: Arm
    predicted: float
    bin: Bin
    rule: str
    expected: float = 0.0


class Router(Protocol):
    """Decides for one problem after the other."""

    pilots: int

    def decide(self, pilots: Sequence[Node]) -> Decision:
        """By a problem's scored pilots, the greedy one first."""
        ...

    def settle(self, decision: Decision, use: Use) -> None:
        """What a problem used in the end."""
        ...


def evidence(pilots: Sequence[Node]) -> dict[str, float]:
    """What pilots show, as a predictor reads it."""
    return features(
        [Sample(answer=each.answer, scores=each.scores, tokens=each.tokens) for each in pilots]
    )


class ProfileRouter:
    """Routes by a profile, each problem within ``budget`` of ``unit`` as ``spread`` says."""

    def __init__(
        self, profile: Profile, budget: float, *, unit: Unit = "tokens", spread: Spread = "average"
    ) -> None:
        self.profile = profile
        self.pilots = profile.pilots
        self._unit = unit
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

    def amount(self, use: Use) -> float:
        """What was used, in the budget's unit."""
        return self.profile.amount(use, self._unit)

    def choose(self, budget: float) -> Choice:
        """The arms of all bins under a budget, and what is expected of them."""
        return SPREADS[self._spread](self._shares, self._fronts, self._right, self._used, budget)

    def decide(self, pilots: Sequence[Node]) -> Decision:
        shown = evidence(pilots)
        missing = self.profile.predictor.weights.keys() - shown.keys()
        if missing:
            raise ProfileError(
                "the pilots were not scored, and the profile's predictor goes by their scores"
            )
        predicted = self.profile.predictor(shown)
        bin = difficulty(predicted)
        b = BINS.index(bin)
        arm = self.choice.arms[b]
        return Decision(
            arm=self.profile.arms[arm].arm,
            predicted=predicted,
            bin=bin,
            rule="profile",
            expected=self._used[b][arm],
        )

    def settle(self, decision: Decision, use: Use) -> None:
        """Budgets of single problems know nothing of each other."""


class PooledRouter:
    """Routes by a profile within one budget for all problems.

    Each problem is decided for by the mean that is left for it and those to come, so that the
    expected gain of the last token is the same everywhere (a Lagrangian relaxation), and what one
    problem leaves goes to where it helps. Problems count as what they were expected to use until
    they and all that were decided before them are done: those that are done first are the cheap
    ones.
    """

    def __init__(self, router: ProfileRouter, total: float, problems: int) -> None:
        self._router = router
        self._left = total
        self._to_come = problems
        self._decided: deque[Decision] = deque()
        self._used: dict[int, float] = {}
        self.pilots = router.pilots

    def decide(self, pilots: Sequence[Node]) -> Decision:
        self._router.choice = self._router.choose(self._left / max(1, self._to_come))
        decision = self._router.decide(pilots)
        self._left -= decision.expected
        self._to_come -= 1
        self._decided.append(decision)
        return decision

    def settle(self, decision: Decision, use: Use) -> None:
        self._used[id(decision)] = self._router.amount(use)
        while self._decided and id(self._decided[0]) in self._used:
            first = self._decided.popleft()
            self._left += first.expected - self._used.pop(id(first))


class PublishedRouter:
    """Routes by the authors' rule. The bin comes of the pilots' agreement alone, which is no
    measured pass@1."""

    def __init__(self, task: str, policy_parameters: int | None, n: int, pilots: int) -> None:
        self._task, self._parameters, self._n = task, policy_parameters, n
        self.pilots = pilots

    def decide(self, pilots: Sequence[Node]) -> Decision:
        agreement = evidence(pilots)["agreement"]
        bin = difficulty(agreement)
        arm = published_rule(self._task, self._parameters, bin, self._n)
        return Decision(arm=arm, predicted=agreement, bin=bin, rule=LABEL)

    def settle(self, decision: Decision, use: Use) -> None:
        """It knows no budget."""
