"""Repeated sampling: whole solutions drawn at once, or until their vote is settled."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

from orchestrator.core.equivalence import classes_of
from orchestrator.core.expansion_rules import TURNED_DOWN
from orchestrator.core.node import Node
from orchestrator.core.ports import Models, Need, Strategy
from orchestrator.core.stopping import is_settled, is_sure
from orchestrator.core.voting import (
    ONE_DECIDES,
    VOTES,
    ByConfidence,
    ByScores,
    Vote,
    elect,
    most_to_change,
)
from orchestrator.errors import ConfigError
from orchestrator.formats.closest import closest
from orchestrator.strategies.settings import Stop, WholeSolutions, check_samples_can_differ
from orchestrator.strategies.traits import FirstDraw, Traits


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatedSampling(WholeSolutions):
    """``n`` whole solutions whose answers vote; at most, where ``stop`` says when it is enough."""

    is_scored: ClassVar[bool]
    vote: ClassVar[Vote]
    """The vote that ``stop`` looks at unless it names another: a sample gives its answer between 0
    and 1."""

    n: int = 16
    stop: Stop | None = None

    def __post_init__(self) -> None:
        # by name: a class with slots is made anew, and super() looks for the old one
        WholeSolutions.__post_init__(self)
        check_samples_can_differ(self.n, self.temperature)
        if self.stop:
            check_vote(self.stop, is_scored=self.is_scored, has_logprobs=bool(self.logprobs))

    @property
    def stopping_vote(self) -> Vote:
        """The vote that ``stop`` looks at."""
        return VOTES[self.stop.vote] if self.stop and self.stop.vote else self.vote

    @property
    def needs(self) -> frozenset[Need]:
        needs: set[Need] = set()
        if self.is_scored:
            needs.add("prm")
        if self.stop:
            needs.add("answers")
        if self.logprobs:
            needs.add("logprobs")
        return frozenset(needs).union(*(each.needs for each in self.fallbacks))

    @property
    def fallbacks(self) -> tuple[Strategy, ...]:
        """Searches that follow where the vote stays unsure."""
        return ()

    @property
    def traits(self) -> Traits:
        at_once = min(self.stop.batch, self.n) if self.stop else self.n
        return Traits(
            max_tokens=self.max_tokens,
            first_draw=FirstDraw(self.sampling, at_once),
            incremental=self,
            fallbacks=self.fallbacks,
        )

    async def __call__(self, root: Node, models: Models) -> list[Node]:
        return await self.go_on(root, models, [])

    async def go_on(self, root: Node, models: Models, drawn: Sequence[Node]) -> list[Node]:
        """``n`` solutions, those ``drawn`` from ``root`` before among them."""
        leaves = list(drawn)
        while not (leaves and self.is_enough(leaves)):
            to_come = self.n - len(leaves)
            origin = root.next_fork(leaves) if leaves else root
            few = min(self.stop.batch, to_come) if self.stop else to_come
            sampling = replace(self.sampling, question_logprob=False) if leaves else self.sampling
            batch = await models.policy.extend(origin, few, sampling)
            if self.is_scored:
                batch = await models.prm.score(batch)
            if not batch:
                break
            leaves += batch
            if all(leaf.finish in TURNED_DOWN and not leaf.steps for leaf in batch):
                break  # the prompt itself was: another draw sends it again
        return leaves

    def is_enough(self, leaves: Sequence[Node]) -> bool:
        """Whether there are as many solutions as it draws, or their vote is settled by its own
        rule."""
        to_come, stop = self.n - len(leaves), self.stop
        if to_come <= 0 or stop is None:
            return to_come <= 0
        open_ = most_to_change(self.stopping_vote, to_come)
        return is_settled(tally(self.stopping_vote, leaves), open_, stop.rule, stop.confidence)

    def is_unsure(self, leaves: Sequence[Node]) -> bool:
        """Whether as many solutions as may be drawn leave the vote below the confidence of
        ``stop``."""
        stop = self.stop
        return (
            stop is not None
            and len(leaves) >= self.n
            and not is_sure(tally(self.stopping_vote, leaves), stop.rule, stop.confidence)
        )

    def next_batch(self, leaves: Sequence[Node], size: int) -> Self:
        few = self.stop.batch if self.stop else size
        return replace(self, n=min(self.n, len(leaves) + few), stop=None)


def tally(vote: Vote, leaves: Sequence[Node]) -> list[float]:
    """What ``vote`` gives each answer so far."""
    return list(elect(vote, leaves, classes_of(leaves)).totals.values())


def check_vote(stop: Stop, *, is_scored: bool, has_logprobs: bool) -> None:
    """Raises ``ConfigError`` where ``stop`` names a vote that samples cannot take, or that never is
    settled."""
    if stop.vote is None:
        return
    vote = VOTES.get(stop.vote)
    if vote is None:
        near = closest(stop.vote, VOTES)
        known = f'did you mean "{near}"?' if near else f"known: {', '.join(VOTES)}"
        problem = f'no vote is called "{stop.vote}": {known}'
    elif isinstance(vote, ONE_DECIDES):
        problem = f"{vote.name} lets one solution decide, which is never settled: name another vote"
    elif isinstance(vote, ByScores) and not is_scored:
        problem = f"{vote.name} goes by PRM scores, and this strategy asks for none: use best_of_n"
    elif isinstance(vote, ByConfidence) and not has_logprobs:
        problem = f"{vote.name} goes by log-probabilities: set `logprobs: true` beside `stop`"
    elif stop.rule == "certain" and most_to_change(vote, 1) > 1:
        problem = (
            f"a further sample changes what others weigh under {vote.name}, so that nothing is "
            "certain before the last: use `rule: beta`"
        )
    else:
        return
    raise ConfigError(f"stop: vote: {problem}", ("stop", "vote"))
