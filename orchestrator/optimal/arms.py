"""Arms, the choices of a router: a strategy with its settings, and the vote over its leaves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.core.difficulty import SAMPLING
from orchestrator.core.voting import (
    VOTES,
    BestOfMajority,
    Borda,
    ByConfidence,
    ByScores,
    Confident,
    Majority,
    Max,
    MostConfident,
    Pooled,
    TopConfident,
    Vote,
    Weighted,
)

PAPER_VOTES: tuple[Vote, ...] = (Majority(), Weighted("last"), Max("last"))
"""The votes of the paper."""

POOR_PRM_VOTES: tuple[Vote, ...] = (BestOfMajority("last"), Pooled("last"))
"""Votes for a PRM that is not to be trusted too far."""

CONFIDENT_VOTES: tuple[Vote, ...] = (
    Confident("mean"),
    Confident("tail"),
    Confident("lowest"),
    TopConfident("tail"),
    TopConfident("lowest"),
    Borda("mean"),
    MostConfident("mean"),
)
"""Votes that ask no PRM, each by the measures that its authors recommend."""

CONFIDENCES = (0.55, 0.6, 0.65, 0.7, 0.8, 0.85, 0.9, 0.95, 0.97, 0.98, 0.99)
"""Confidences at which a vote may stop, from hardly decided to nearly certain. The low ones pay off
under a good PRM, whose scores tell more than the agreement of few answers."""

MEASURED_BY = ("logprobs", "question_logprob")
"""Settings that only add to what is known of samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """A way to continue from the pilots, which vote in the end too.

    ``settings`` are the strategy's, including ``n``. Pilots count towards the ``n`` of sampling
    strategies; for tree searches they come on top. Under ``cot`` the greedy pilot is the answer.
    """

    strategy: str
    settings: Mapping[str, Any]
    vote: Vote

    @property
    def n(self) -> int:
        return int(self.settings.get("n", 1))

    @property
    def is_sampling(self) -> bool:
        return self.strategy in SAMPLING

    @property
    def has_fallback(self) -> bool:
        """Whether it falls back to a tree search if the vote over its samples stays undecided."""
        return self.is_sampling and "then" in self.settings

    @property
    def stop(self) -> Mapping[str, Any] | None:
        """The rule that stops sampling before ``n``; None if there is none."""
        return self.settings.get("stop") if self.is_sampling else None

    @property
    def stopping_vote(self) -> Vote:
        """The vote whose totals tell whether samples are enough: as in the strategy, the stop's, if
        it names one, else by the PRM's scores where there are some."""
        if self.stop and "vote" in self.stop:
            return VOTES[self.stop["vote"]]
        return Majority() if self.strategy in ("cot", "majority") else Weighted("last")


def votes_of(*, is_scored: bool, has_logprobs: bool) -> tuple[Vote, ...]:
    """The votes that samples can take, by what is known of them."""
    return (
        *(PAPER_VOTES if is_scored else (Majority(),)),
        *(POOR_PRM_VOTES if is_scored else ()),
        *(CONFIDENT_VOTES if has_logprobs else ()),
    )


def fallback_arms(
    arms: Sequence[Arm], strategy: str, settings: Mapping[str, Any], vote: Vote
) -> list[Arm]:
    """The ``arms`` that stop by ``vote``, at every other confidence, each with a fallback to a tree
    search if the vote over its samples stays undecided."""
    then = {"strategy": strategy, **settings}
    return [
        replace(arm, settings={**arm.settings, "then": then})
        for arm in arms
        if arm.vote == vote and arm.stop and arm.stop["confidence"] in CONFIDENCES[::2]
    ]


def sampling_arms(
    settings: Mapping[str, Any], pilots: int, *, votes: Sequence[Vote] = PAPER_VOTES
) -> list[Arm]:
    """Every arm that a run of ``settings["n"]`` samples can measure: the greedy answer, and for n =
    ``pilots``, twice that, and so on: all samples, or as many as it takes to settle the vote.

    The run asks for log-probabilities to measure by; an arm asks where its vote needs them.
    """
    settings = {key: each for key, each in settings.items() if key not in MEASURED_BY}
    cot = {key: each for key, each in settings.items() if key not in ("n", "stop")}
    most, sizes = int(settings["n"]), [pilots]
    while sizes[-1] * 2 <= most:
        sizes.append(sizes[-1] * 2)
    return [Arm(strategy="cot", settings={**cot, "temperature": 0.0}, vote=Majority())] + [
        Arm(
            strategy="best_of_n" if isinstance(vote, ByScores) else "majority",
            settings={**settings, **_asked_by(vote), "n": n, **stop},
            vote=vote,
        )
        for vote in votes
        for n in sizes
        for stop in [{}, *(_stops(vote, pilots) if n > 2 * pilots else [])]
    ]


def _stops(vote: Vote, batch: int) -> list[dict[str, Any]]:
    """The rules by which samples under ``vote`` may stop. A vote by confidence is looked at itself,
    others at the strategy's own vote. The paper's stop at every one of ``CONFIDENCES``, others at
    every second."""
    if isinstance(vote, MostConfident):
        return []
    named = {"vote": vote.name} if isinstance(vote, ByConfidence) else {}
    confidences = CONFIDENCES if vote in PAPER_VOTES else CONFIDENCES[::2]
    return [
        {"stop": {"rule": "beta", "confidence": confidence, "batch": batch, **named}}
        for confidence in confidences
    ]


def _asked_by(vote: Vote) -> dict[str, Any]:
    return {"logprobs": True} if isinstance(vote, ByConfidence) else {}
