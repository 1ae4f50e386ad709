"""What the voting strategies share: solutions drawn at once, or until the vote is settled."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from orchestrator.core.equivalence import classes_of
from orchestrator.core.expansion_rules import TURNED_DOWN
from orchestrator.core.node import Node
from orchestrator.core.ports import PRM, Policy
from orchestrator.core.stopping import is_settled, is_sure
from orchestrator.core.voting import VoteName, ballots, totals
from orchestrator.strategies.settings import Stop, WholeSolutions, check_samples_can_differ


@dataclass(frozen=True, slots=True, kw_only=True)
class Voted(WholeSolutions):
    """``n`` whole solutions whose answers vote; at most, where ``stop`` says when it is enough."""

    uses_prm: ClassVar[bool]
    vote: ClassVar[VoteName]
    """The vote that ``stop`` looks at: a sample gives its answer between 0 and 1."""

    n: int = 16
    stop: Stop | None = None

    def __post_init__(self) -> None:
        # by name: a class with slots is made anew, and super() looks for the old one
        WholeSolutions.__post_init__(self)
        check_samples_can_differ(self.n, self.temperature)

    @property
    def first_draw(self) -> int:
        return min(self.stop.batch, self.n) if self.stop else self.n

    async def __call__(self, root: Node, policy: Policy, prm: PRM) -> list[Node]:
        return await self.go_on(root, policy, prm, [])

    async def go_on(
        self, root: Node, policy: Policy, prm: PRM, drawn: Sequence[Node]
    ) -> list[Node]:
        """``n`` solutions, those ``drawn`` from ``root`` before among them."""
        leaves = list(drawn)
        while not (leaves and is_enough(self, leaves)):
            to_come = self.n - len(leaves)
            origin = root.next_fork(leaves) if leaves else root
            few = min(self.stop.batch, to_come) if self.stop else to_come
            batch = await policy.extend(origin, few, self.sampling)
            if self.uses_prm:
                batch = await prm.score(batch)
            if not batch:
                break
            leaves += batch
            if all(leaf.finish in TURNED_DOWN and not leaf.steps for leaf in batch):
                break  # the prompt itself was: another draw sends it again
        return leaves

    @property
    def reads_answers(self) -> bool:
        return self.stop is not None


def is_enough(voted: Voted, leaves: Sequence[Node]) -> bool:
    """Whether there are as many solutions as the strategy draws, or the vote of these is settled
    by its own rule."""
    to_come, stop = voted.n - len(leaves), voted.stop
    if to_come <= 0 or stop is None:
        return to_come <= 0
    return is_settled(tally(voted.vote, leaves), to_come, stop.rule, stop.confidence)


def is_unsure(voted: Voted, leaves: Sequence[Node]) -> bool:
    """Whether as many solutions as may be drawn leave the vote without the confidence asked for."""
    stop = voted.stop
    return (
        stop is not None
        and len(leaves) >= voted.n
        and not is_sure(tally(voted.vote, leaves), stop.rule, stop.confidence)
    )


def tally(vote: VoteName, leaves: Sequence[Node]) -> list[float]:
    """What ``vote`` gives each answer so far."""
    return list(totals(ballots(vote, leaves, classes_of(leaves))).values())
