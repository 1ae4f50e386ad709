"""Marginal-gain search: a problem of a pool draws its pilots and then goes along the frontier of
its bin, batch by batch, for as long as it is the one that gains most."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from orchestrator.core.difficulty import BINS, Bin
from orchestrator.core.node import Node
from orchestrator.core.ports import Models, Sampling, Strategy
from orchestrator.core.stopping import lead
from orchestrator.core.voting import Majority, Vote, Weighted
from orchestrator.optimal.arms import Arm
from orchestrator.optimal.profile import Profile, Unit, Use
from orchestrator.optimal.routing.routed import Attempt, built, pilots
from orchestrator.optimal.routing.router import Decision, read_pilots
from orchestrator.optimal.shared_budget.frontier import LEAST, FrontierStep, frontier
from orchestrator.optimal.shared_budget.pool import Pool
from orchestrator.strategies.sampling import tally
from orchestrator.strategies.traits import traits

LABEL = "pool"


class PooledRouting:
    """How the problems of a cell share one pool."""

    def __init__(self, profile: Profile, pool: Pool, unit: Unit, sampling: Sampling) -> None:
        self.profile, self.pool, self.sampling = profile, pool, sampling
        self._unit = unit
        self.frontiers = {bin: self._frontier(bin) for bin in BINS}

    def open(self, problems: int, width: int, used: Use) -> None:
        self.pool.open(problems, width, self.amount(used))

    @property
    def arms(self) -> list[Arm]:
        return [step.arm for steps in self.frontiers.values() for step in steps]

    @property
    def deadline(self) -> float:
        return self.pool.deadline

    @property
    def share(self) -> float:
        return self.pool.share

    def none_to_come(self) -> None:
        self.pool.none_to_come()

    def begin(self, attempt: Attempt) -> "MarginalGainSearch":
        return MarginalGainSearch(routing=self, attempt=attempt)

    @property
    def least(self) -> float:
        """What a problem's pilots are expected to use of the cap."""
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

    def amount(self, use: Use) -> float:
        """What was used, in the cap's unit."""
        return self.profile.amount(use, self._unit)


@dataclass(slots=True, kw_only=True)
class MarginalGainSearch:
    """A search that goes on for as long as the pool lets it.

    What it grows depends on its own evidence alone: another pool cuts it elsewhere, and changes
    nothing before.
    """

    routing: PooledRouting
    attempt: Attempt
    decision: Decision | None = None
    _told: float = 0.0
    _batches: int = 1

    async def __call__(self, root: Node, models: Models) -> list[Node]:
        """The leaves that vote; ``decision`` names the arm that was reached."""
        try:
            return await self._grow(root, models)
        finally:
            self.routing.pool.left(root.tree.number, self._newly_used())

    async def _grow(self, root: Node, models: Models) -> list[Node]:
        size, sampling = self.routing.profile.pilots, self.routing.sampling
        leaves = await pilots(root, models, size, sampling)
        if not leaves:
            return []
        predicted, bin = read_pilots(self.routing.profile.predictor, leaves)
        first, *steps = self.routing.frontiers[bin]
        self.decision = Decision(arm=first.arm, predicted=predicted, bin=bin, rule=LABEL, cut=True)
        longer = max(LEAST, self._so_far()) / first.extra  # than the bin's problems on average
        for step in steps:
            search = built(step.arm)
            incremental = traits(search).incremental
            while incremental is None or not incremental.is_enough(leaves):
                if not await self._may_use(step, longer, leaves, root.tree.number):
                    return leaves
                self.decision = replace(self.decision, arm=step.arm)
                grown = await one_batch(search, size, root, models, leaves)
                self._batches += 1
                if len(grown) == len(leaves):  # its requests failed, and would again
                    self.decision = replace(self.decision, cut=False)
                    return leaves
                leaves = grown
                if incremental is None:
                    break
            self.decision = replace(self.decision, arm=step.arm)
        self.decision = replace(self.decision, cut=False)
        return leaves

    async def _may_use(
        self, step: FrontierStep, longer: float, leaves: Sequence[Node], number: int
    ) -> bool:
        """Wait for the pool to grant the next batch of an arm."""
        a_batch = self._so_far() / self._batches
        async with self.attempt.aside():
            return await self.routing.pool.turn(
                number,
                used=self._newly_used(),
                sure=step.sure,
                gains=step.rate * doubt(leaves, step.arm.vote) / longer,
                expected=a_batch if step.arm.is_sampling else step.extra * longer,
                drawn=len(leaves),
                is_paid=len(leaves) < self.attempt.reached,
            )

    def _so_far(self) -> float:
        """What it used, in the cap's unit."""
        return self.routing.amount(self.attempt.used())

    def _newly_used(self) -> float:
        """What it used since the pool was told last."""
        told, self._told = self._told, self._so_far()
        return self._told - told


async def one_batch(
    search: Strategy, size: int, root: Node, models: Models, leaves: Sequence[Node]
) -> list[Node]:
    """The leaves with a whole tree search's, or with the next ``size`` solutions or those that the
    strategy draws at a time."""
    incremental = traits(search).incremental
    if incremental is None:
        return [*leaves, *await search(root.next_fork(leaves), models)]
    if "prm" in search.needs and (bare := [leaf for leaf in leaves if not leaf.scores]):
        scored = iter(await models.prm.score(bare) or bare)
        leaves = [leaf if leaf.scores else next(scored) for leaf in leaves]
    return await incremental.next_batch(leaves, size).go_on(root, models, leaves)


def doubt(leaves: Sequence[Node], vote: Vote) -> float:
    """The posterior chance that another answer than the leading one is the commonest, by how often
    each was given, or by the PRM's scores of it where those vote."""
    return 1.0 - lead(tally(Majority() if vote == Majority() else Weighted("last"), leaves))
