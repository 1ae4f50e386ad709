"""Marginal-gain search: each problem of a pool draws its pilots, then takes one step after the
other whenever it is the problem that gains most, until it is settled or hopeless."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from orchestrator.core.difficulty import BINS, Bin
from orchestrator.core.node import Node
from orchestrator.core.ports import Models, Sampling, Strategy
from orchestrator.optimal.arms import Arm
from orchestrator.optimal.profile import Profile, Unit, Use
from orchestrator.optimal.routing.routed import Attempt, pilots, strategy_of
from orchestrator.optimal.routing.router import Decision, read_pilots
from orchestrator.optimal.shared_budget.frontier import LEAST, FrontierStep, frontier
from orchestrator.optimal.shared_budget.pool import Pool
from orchestrator.optimal.shared_budget.step_rules import (
    AlongFrontier,
    ByGain,
    Costs,
    Proposal,
    StepRule,
)
from orchestrator.strategies.traits import traits

LABEL = "pool"


class PooledRouting:
    """Routes the problems of a cell, which share one pool."""

    def __init__(self, profile: Profile, pool: Pool, unit: Unit, sampling: Sampling) -> None:
        self.profile, self.pool, self.sampling = profile, pool, sampling
        self._unit = unit
        self._gains = profile.gains or None
        self.frontiers = {bin: self._frontier(bin) for bin in BINS}

    def open(self, problems: int, width: int, used: Use) -> None:
        self.pool.open(problems, width, self.amount(used))

    @property
    def arms(self) -> list[Arm]:
        if gains := self._gains:
            return [gains.arm, *gains.search_arms]
        return [step.arm for steps in self.frontiers.values() for step in steps]

    @property
    def deadline(self) -> float:
        return self.pool.deadline

    @property
    def share(self) -> float:
        return self.pool.share

    def all_started(self) -> None:
        self.pool.all_started()

    def begin(self, attempt: Attempt) -> "MarginalGainSearch":
        return MarginalGainSearch(routing=self, attempt=attempt)

    @property
    def least(self) -> float:
        """The expected use of a problem's pilots, in the cap's unit."""
        shares = self.profile.shares
        return sum(shares[bin].share * self.frontiers[bin][0].extra for bin in BINS)

    def _frontier(self, bin: Bin) -> list[FrontierStep]:
        arms = [(each.arm, each.bins[bin]) for each in self.profile.arms if bin in each.bins]
        here = [(arm, found) for arm, found in arms if found.rung]
        return frontier(
            [arm for arm, _ in here],
            [found.rung == "sure" for _, found in here],
            [found.expected for _, found in here],
            [self.amount(found.use) for _, found in here],
        )

    def rule(self, predicted: float, bin: Bin, used: float) -> StepRule:
        """What leads a problem of which the pilots predict this pass@1 and ``used`` so much."""
        if gains := self._gains:
            costs = Costs.of(self.profile, gains, self._unit)
            pilots = self.profile.pilots
            longer = max(LEAST, used) / (costs.a_sample * pilots)
            return ByGain(gains, costs, pilots=pilots, hope=predicted, longer=longer)
        steps = self.frontiers[bin]
        return AlongFrontier(steps, max(LEAST, used) / steps[0].extra)

    def amount(self, use: Use) -> float:
        """A use, converted to the cap's unit."""
        return self.profile.amount(use, self._unit)


@dataclass(slots=True, kw_only=True)
class MarginalGainSearch:
    """A search that continues as long as the pool grants it batches.

    Each batch depends on the problem's own leaves alone: a smaller pool stops the search earlier,
    with the same tree up to there.
    """

    routing: PooledRouting
    attempt: Attempt
    decision: Decision | None = None
    _reported: float = 0.0
    _batches: int = 1

    async def __call__(self, root: Node, models: Models) -> list[Node]:
        """The leaves that vote; ``decision`` names the last arm."""
        try:
            return await self._grow(root, models)
        finally:
            self.routing.pool.finish(root.tree.number, self._newly_used())

    async def _grow(self, root: Node, models: Models) -> list[Node]:
        profile, size = self.routing.profile, self.routing.profile.pilots
        reads = profile.predictor.weights
        leaves = await pilots(root, models, size, self.routing.sampling, reads=reads)
        if not leaves:
            return []
        predicted, bin = read_pilots(profile.predictor, leaves)
        rule = self.routing.rule(predicted, bin, self._so_far())
        self.decision = decision = Decision(
            arm=rule.arm, predicted=predicted, bin=bin, rule=LABEL, cut=True
        )
        while proposal := rule.propose(leaves, self._so_far() / self._batches):
            self.decision = replace(decision, arm=rule.arm)
            if not await self._may_use(proposal, leaves, root.tree.number):
                return leaves
            rule.follow(proposal)
            self.decision = replace(decision, arm=rule.arm)
            grown = await one_batch(strategy_of(proposal.arm), size, root, models, leaves)
            self._batches += 1
            if len(grown) == len(leaves):  # its requests failed, and would again
                break
            leaves = grown
        self.decision = replace(decision, arm=rule.arm, cut=False)
        return leaves

    async def _may_use(self, proposal: Proposal, leaves: Sequence[Node], number: int) -> bool:
        """Wait until the pool grants or denies the next batch."""
        async with self.attempt.aside():
            return await self.routing.pool.turn(
                number,
                used=self._newly_used(),
                sure=proposal.sure,
                gains=proposal.gains,
                expected=proposal.expected,
                drawn=len(leaves),
                is_paid=len(leaves) < self.attempt.reached,
            )

    def _so_far(self) -> float:
        """The use so far, in the cap's unit."""
        return self.routing.amount(self.attempt.used())

    def _newly_used(self) -> float:
        """The use since the last report to the pool."""
        before, self._reported = self._reported, self._so_far()
        return self._reported - before


async def one_batch(
    search: Strategy, size: int, root: Node, models: Models, leaves: Sequence[Node]
) -> list[Node]:
    """Add one batch to ``leaves``: a whole tree search, or the next samples, ``size`` of them or as
    many as the strategy draws at a time."""
    incremental = traits(search).incremental
    if incremental is None:
        return [*leaves, *await search(root.next_fork(leaves), models)]
    if "prm" in search.needs and (bare := [leaf for leaf in leaves if not leaf.scores]):
        scored = iter(await models.prm.score(bare) or bare)
        leaves = [leaf if leaf.scores else next(scored) for leaf in leaves]
    return await incremental.next_batch(leaves, size).go_on(root, models, leaves)
