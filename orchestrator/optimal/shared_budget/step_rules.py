"""Step rules: which step of a pooled problem is next, by what its solutions show, and what it is
worth. A profile with expected gains is followed ``ByGain``, any other ``AlongFrontier``.

A rule looks at its own problem alone, so that any pool grows the same tree as far as it lets it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self

from orchestrator.core.equivalence import classes_of
from orchestrator.core.node import Node
from orchestrator.core.stopping import lead
from orchestrator.optimal.arms import Arm
from orchestrator.optimal.profile import Gains, Profile, Unit
from orchestrator.optimal.routing.routed import strategy_of
from orchestrator.optimal.routing.router import as_pilots
from orchestrator.optimal.shared_budget.expected_gain import (
    HOPE,
    Step,
    best,
    log,
    more_samples,
    sizes,
    standing,
)
from orchestrator.optimal.shared_budget.frontier import LEAST, FrontierStep
from orchestrator.strategies.sampling import tally
from orchestrator.strategies.traits import traits


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """The next batch of a problem: a batch of the samples of ``arm``, or its tree search. What it
    ``gains`` a unit of the cap, what it is ``expected`` to use, and whether it is ``sure`` to
    gain."""

    arm: Arm
    gains: float
    expected: float
    sure: bool


class StepRule(Protocol):
    """What a problem of a pool does next."""

    @property
    def arm(self) -> Arm:
        """The arm that answers with what is drawn now."""
        ...

    def propose(self, leaves: Sequence[Node], a_batch: float) -> Proposal | None:
        """The next batch, where ``a_batch`` is the mean use of those so far. None: no more."""
        ...

    def follow(self, proposal: Proposal) -> None:
        """Called when a proposed batch is granted."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What a sample and each search use of the cap on the average problem."""

    a_sample: float
    searches: tuple[float, ...]

    @classmethod
    def of(cls, profile: Profile, gains: Gains, unit: Unit) -> Self:
        pilots = max(LEAST, profile.amount(gains.pilots, unit))
        searches = (profile.amount(search.use, unit) for search in gains.searches)
        return cls(a_sample=pilots / profile.pilots, searches=tuple(searches))


class ByGain:
    """The step with the highest expected gain a unit, given all that was drawn.

    More samples may follow samples; a tree search may follow these or a cheaper search. ``hope`` is
    the pass@1 that the pilots predict, and what the problem uses is ``longer`` than the average by
    that factor.
    """

    def __init__(
        self, gains: Gains, costs: Costs, *, pilots: int, hope: float, longer: float
    ) -> None:
        self._gains, self._costs, self._longer = gains, costs, longer
        self._hope = log(hope)
        self._ahead = sizes(pilots, gains.arm.n)
        self._searches, self._searched = gains.search_arms, -1
        self.arm = replace(gains.arm, settings={**gains.settings, "n": pilots})

    def propose(self, leaves: Sequence[Node], a_batch: float) -> Proposal | None:
        step = best(self._steps(leaves))
        if step is None:
            return None
        worth = step.rate / self._longer
        if step.search is None:
            return Proposal(arm=self._gains.arm, gains=worth, expected=a_batch, sure=True)
        arm = self._searches[step.search]
        return Proposal(arm=arm, gains=worth, expected=step.cost * self._longer, sure=True)

    def _steps(self, leaves: Sequence[Node]) -> list[Step]:
        gains, costs = self._gains, self._costs
        shown = standing(
            as_pilots(leaves, classes_of(leaves)), is_scored=gains.strategy == "best_of_n"
        )
        shown[HOPE] = self._hope
        steps = [
            Step(number, search.change.gain(shown), cost)
            for number, (search, cost) in enumerate(
                zip(gains.searches, costs.searches, strict=True)
            )
            if number > self._searched
        ]
        if self._searched < 0:
            steps += more_samples(gains.samples, shown, len(leaves), self._ahead, costs.a_sample)
        return steps

    def follow(self, proposal: Proposal) -> None:
        self.arm = proposal.arm
        if proposal.arm in self._searches:
            self._searched = self._searches.index(proposal.arm)


class AlongFrontier:
    """One step of the bin's frontier after the other, each worth its gain times the doubt about the
    vote: how profiles without expected gains are followed."""

    def __init__(self, steps: Sequence[FrontierStep], longer: float) -> None:
        self.arm = steps[0].arm
        self._steps, self._longer = list(steps[1:]), longer

    def propose(self, leaves: Sequence[Node], a_batch: float) -> Proposal | None:
        while self._steps:
            step = self._steps[0]
            incremental = traits(strategy_of(step.arm)).incremental
            if incremental is None or not incremental.is_enough(leaves):
                return Proposal(
                    arm=step.arm,
                    gains=step.rate * doubt(leaves, step.arm) / self._longer,
                    expected=a_batch if incremental else step.extra * self._longer,
                    sure=step.sure,
                )
            self.arm = step.arm
            del self._steps[0]
        return None

    def follow(self, proposal: Proposal) -> None:
        self.arm = proposal.arm
        if not proposal.arm.is_sampling:
            del self._steps[0]


def doubt(leaves: Sequence[Node], arm: Arm) -> float:
    """The posterior probability that another answer than the leading one is the most common, by
    the vote that tells the arm whether its samples are enough."""
    return 1.0 - lead(tally(arm.stopping_vote, leaves))
