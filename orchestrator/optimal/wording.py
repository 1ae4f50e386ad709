"""Arms in words."""

from collections.abc import Mapping

from orchestrator.core.confidence import Measure
from orchestrator.core.rewards import REWARDS
from orchestrator.core.voting import (
    BestOfMajority,
    Borda,
    Confident,
    Max,
    MostConfident,
    Pooled,
    TopConfident,
    Weighted,
)
from orchestrator.optimal.arms import Arm
from orchestrator.strategies.building import label_of

_MEASURES: Mapping[Measure, str] = {
    "mean": "mean log-probability",
    "tail": "that of the tail",
    "lowest": "the lowest window",
}
_REWARDS = {reward: f"PRM-{reward.title()}" for reward in REWARDS}


def in_words(arm: Arm, *, direct: bool = False) -> str:
    """``majority of 4``, ``DVTS 16 with PRM-Last``, ``weighted vote of 64 until 97 % sure``. A
    ``direct`` search starts without pilots."""
    if arm.strategy == "cot":
        return "the greedy answer"
    if arm.strategy == "majority":
        return f"{_of_samples(arm)}{_until(arm)}"
    match arm.vote:
        case Max(reward):
            what, ending = f"best of {arm.n} by {_REWARDS[reward]}", f"with {_REWARDS[reward]}"
        case Weighted(reward):
            what = f"weighted vote of {arm.n} by {_REWARDS[reward]}"
            ending = f"with a vote by {_REWARDS[reward]}"
        case BestOfMajority(reward):
            what = f"best of the frequent answers of {arm.n} by {_REWARDS[reward]}"
            ending = f"with {_REWARDS[reward]} among the frequent answers"
        case Pooled(reward):
            what = f"pooled vote of {arm.n} by {_REWARDS[reward]}"
            ending = f"with a pooled vote by {_REWARDS[reward]}"
        case vote:
            what, ending = f"{vote.name} of {arm.n}", f"with a {vote.name}"
    if arm.strategy == "best_of_n":
        return f"{what}{_until(arm)}{_else(arm)}"
    return f"{label_of(arm.strategy)} {arm.n} {ending}{' (no pilots)' if direct else ''}"


def _of_samples(arm: Arm) -> str:
    """A vote that asks no PRM."""
    match arm.vote:
        case Confident(measure):
            return f"confidence vote of {arm.n} by {_MEASURES[measure]}"
        case TopConfident(measure, keep):
            return f"majority of the surest {keep:.0%} of {arm.n} by {_MEASURES[measure]}"
        case Borda(measure):
            return f"Borda count of {arm.n} by {_MEASURES[measure]}"
        case MostConfident(measure):
            return f"surest of {arm.n} by {_MEASURES[measure]}"
    return f"majority of {arm.n}"


def _until(arm: Arm) -> str:
    stop = arm.stop
    if not isinstance(stop, Mapping):
        return ""
    if stop["rule"] == "certain":
        return " until settled"
    return f" until {100 * stop['confidence']:g} % sure"


def _else(arm: Arm) -> str:
    if not arm.has_fallback:
        return ""
    then = arm.settings["then"]
    return f", else {label_of(then['strategy'])} {then['n']}"
