"""Arms as people read them."""

from collections.abc import Mapping

from orchestrator.core.rewards import REWARDS
from orchestrator.core.voting import split_vote
from orchestrator.optimal.arms import Arm

NAMES = {
    "cot": "CoT", "majority": "majority", "best_of_n": "best-of-N", "beam_search": "beam search",
    "dvts": "DVTS",
}  # fmt: skip

_REWARDS = dict(zip(REWARDS, ("Last", "Min", "Avg", "Prod"), strict=True))


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
    return f"{NAMES.get(arm.strategy, arm.strategy)} {arm.n} {ending}"


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
    return f", else {NAMES[then['strategy']]} {then['n']}"
