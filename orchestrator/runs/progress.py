"""How far a run is; the command line shows it while it changes."""

from dataclasses import dataclass, field

from orchestrator.core.budget import Bill, Ledger, Spend
from orchestrator.optimal.routing.routed import Routing


@dataclass(frozen=True, slots=True)
class PoolProgress:
    """How far a pool is used up; ``before`` of it was when this session began."""

    routing: Routing
    before: float

    @property
    def used(self) -> float:
        """From 0 to 1."""
        return self.routing.share or 0.0

    @property
    def newly_used(self) -> float:
        """Of what was left then, from 0 to 1."""
        return (self.used - self.before) / (1.0 - self.before) if self.before < 1.0 else 1.0


@dataclass(slots=True)
class RunProgress:
    """``already`` of ``total`` problems were finished before.

    ``work`` weighs each problem to be run by its cell's weight, ``work_done`` those that are done;
    ``pools`` are the shared caps. ``spent`` is what this session really sent, what several
    strategies share counted once, and ``replayed`` what the journal remembered instead; the
    ``ledger`` charges each strategy for all it uses, in earlier sessions too.
    """

    total: int
    already: int
    work: int
    work_done: int = 0
    finished: int = 0
    in_flight: int = 0
    cell: str = ""
    spent: Spend = field(default_factory=Spend)
    replayed: Spend = field(default_factory=Spend)
    ledger: Ledger = field(default_factory=Ledger)
    bill: Bill = field(default_factory=Bill)
    pools: list[PoolProgress] = field(default_factory=list)

    @property
    def share(self) -> float:
        """Of this session's work, how much is done, from 0 to 1. The problems of a pool end all
        together, when it is used up or earlier."""
        by_problems = self.work_done / self.work if self.work else 0.0
        return max(by_problems, min((pool.newly_used for pool in self.pools), default=0.0))
