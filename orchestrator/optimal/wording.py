"""Strategies and arms as people read them."""

from collections.abc import Mapping

from orchestrator.core.rewards import REWARDS
from orchestrator.core.voting import split_vote
from orchestrator.optimal.arms import Arm

_NAMES = {"cot": "CoT", "best_of_n": "best-of-N", "dvts": "DVTS"}

_REWARDS = dict(zip(REWARDS, ("Last", "Min", "Avg", "Prod"), strict=True))


def strategy_name(strategy: str) -> str:
    """``beam_search`` as "beam search"."""
    return _NAMES.get(strategy, strategy.replace("_", " "))


def in_words(arm: Arm) -> str:
    """``majority of 4``, ``DVTS 16 with PRM-Last``, ``weighted vote of 64 until 97 % sure``."""
    if arm.strategy == "cot":
        return "the greedy answer"
    if arm.strategy == "majority":
        return f"majority of {arm.n}{_until(arm)}"
    kind, reward = split_vote(arm.vote) if arm.vote != "majority" else ("majority", "last")
    by = f"PRM-{_REWARDS[reward]}"
    if arm.strategy == "best_of_n":
        what = f"best of {arm.n}" if kind == "max" else f"{kind} vote of {arm.n}"
        return f"{what} by {by}{_until(arm)}{_else(arm)}"
    ending = {"max": f"with {by}", "weighted": f"with a vote by {by}"}.get(kind, "with a majority")
    return f"{strategy_name(arm.strategy)} {arm.n} {ending}"


def _until(arm: Arm) -> str:
    stop = arm.stop
    if not isinstance(stop, Mapping):
        return ""
    if stop["rule"] == "certain":
        return " until settled"
    return f" until {100 * stop['confidence']:g} % sure"


def _else(arm: Arm) -> str:
    if not arm.is_followed:
        return ""
    then = arm.settings["then"]
    return f", else {strategy_name(then['strategy'])} {then['n']}"
