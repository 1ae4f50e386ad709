"""What arms and looks use, and what they save of what was drawn before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.optimal.cascade.plan import Look, ModelArm

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Path = tuple[Look, ...]
"""The looks taken so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """What the arms of trials use from nothing, ``arms[p, t, a]``, and what their looks do, by look
    ``[p, t]``, in the unit of a price. ``is_time``: solutions drawn at once take the time of one,
    so that an earlier greedy solution saves none."""

    arms: "NDArray[np.float64]"
    drawn: Mapping[Look, "NDArray[np.float64]"]
    is_time: bool = False

    def of(self, chosen: Sequence[int]) -> "Amounts":
        picked = list(chosen)
        return Amounts(
            arms=self.arms[picked],
            drawn={look: each[picked] for look, each in self.drawn.items()},
            is_time=self.is_time,
        )

    def saved(self, needed: Look, path: Path) -> Look | None:
        """The look whose use is saved, after ``path``, by what needs the look ``needed``."""
        mine = [look for look in path if look.policy == needed.policy and look.pilots]
        if not mine or not needed.pilots:
            return None
        last = mine[-1]
        common = Look(
            policy=needed.policy,
            prm=needed.prm if needed.prm == last.prm else None,
            pilots=min(needed.pilots, last.pilots),
        )
        return None if self.is_time and common.pilots < needed.pilots else common


def needs(arm: ModelArm, pilots: int) -> Look:
    """What an arm begins with; a direct one with nothing but the question."""
    if arm.direct:
        return Look(policy=arm.policy, prm=None, pilots=0)
    is_greedy = arm.arm.strategy == "cot"
    return Look(policy=arm.policy, prm=arm.prm, pilots=1 if is_greedy else pilots)


def may_follow(look: Look, path: Path) -> bool:
    """Whether a look shows more of its policy than the looks before: they only grow. Every look
    shows the question, so that a look at it alone comes first or not at all."""
    if not look.pilots:
        return not path
    mine = [each for each in path if each.policy == look.policy]
    return not mine or (
        mine[-1] != look and mine[-1].pilots <= look.pilots and mine[-1].prm in (None, look.prm)
    )
