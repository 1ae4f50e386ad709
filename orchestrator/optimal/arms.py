"""Arms, which a router chooses among: a strategy with its settings, and the vote that elects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.core.difficulty import SAMPLING
from orchestrator.core.voting import Majority, Max, Vote, Weighted

SCORED_VOTES: tuple[Vote, ...] = (Majority(), Weighted("last"), Max("last"))

CONFIDENCES = (0.55, 0.6, 0.65, 0.7, 0.8, 0.85, 0.9, 0.95, 0.97, 0.98, 0.99)
"""Confidences at which a vote may stop: from hardly decided to nearly certain. The low ones pay off
under a good PRM, whose scores say much before answers agree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """A way to go on from the pilots, which are part of what votes in the end.

    ``settings`` are the strategy's, ``n`` among them; pilots count towards the ``n`` of whole
    solutions, and come on top of a tree search's. Under ``cot`` the greedy pilot answers alone.
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
    def is_followed(self) -> bool:
        """Whether it falls back to a tree search where samples leave the vote undecided."""
        return self.is_sampling and "then" in self.settings

    @property
    def stop(self) -> Mapping[str, Any] | None:
        """When sampling stops before ``n``; None where it never does."""
        return self.settings.get("stop") if self.is_sampling else None


def followed_arms(
    arms: Sequence[Arm], strategy: str, settings: Mapping[str, Any], vote: Vote
) -> list[Arm]:
    """Those of ``arms`` that stop by ``vote``, at every other confidence, each falling back to a
    tree search where its samples leave the vote undecided."""
    then = {"strategy": strategy, **settings}
    return [
        replace(arm, settings={**arm.settings, "then": then})
        for arm in arms
        if arm.vote == vote and arm.stop and arm.stop["confidence"] in CONFIDENCES[::2]
    ]


def sampling_arms(
    settings: Mapping[str, Any], pilots: int, *, votes: Sequence[Vote] = SCORED_VOTES
) -> list[Arm]:
    """Every arm that a run of ``settings["n"]`` whole solutions can measure: the greedy one, and
    each doubling of the pilots, in full or until the vote is settled."""
    cot = {key: each for key, each in settings.items() if key not in ("n", "stop")}
    most, sizes = int(settings["n"]), [pilots]
    while sizes[-1] * 2 <= most:
        sizes.append(sizes[-1] * 2)
    stops: list[dict[str, Any]] = [
        {"stop": {"rule": "beta", "confidence": confidence, "batch": pilots}}
        for confidence in CONFIDENCES
    ]
    return [Arm(strategy="cot", settings={**cot, "temperature": 0.0}, vote=Majority())] + [
        Arm(
            strategy="majority" if vote == Majority() else "best_of_n",
            settings={**settings, "n": n, **stop},
            vote=vote,
        )
        for vote in votes
        for n in sizes
        for stop in [{}, *(stops if n > 2 * pilots else [])]
    ]
