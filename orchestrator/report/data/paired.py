"""Compare two sides over the problems that both attempted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from orchestrator.statistics import paired_bootstrap, sign_test

Finding = Literal["better", "worse", "not shown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """The share of ``problems`` that each side solves, and their difference.

    The interval is the 95 % paired bootstrap; ``wins`` and ``losses`` count the problems that only
    one side solves.
    """

    problems: int
    ours: float
    theirs: float
    difference: float
    ci_low: float
    ci_high: float
    wins: int
    losses: int

    @property
    def verdict(self) -> Finding:
        """Better or worse if the interval excludes zero and the exact sign test agrees.

        The bootstrap alone is overconfident if few problems differ.
        """
        if self.ci_low <= 0 <= self.ci_high or sign_test(self.wins, self.losses) >= 0.05:
            return "not shown"
        return "better" if self.difference > 0 else "worse"


def paired(ours: Mapping[str, bool], theirs: Mapping[str, bool]) -> Paired | None:
    """Match by problem, since records come in the order in which trees finished.

    None if no problem is in both.
    """
    common = sorted(ours.keys() & theirs.keys())
    if not common:
        return None
    mine, yours = [ours[problem] for problem in common], [theirs[problem] for problem in common]
    difference, low, high = paired_bootstrap(mine, yours)
    return Paired(
        problems=len(common),
        ours=sum(mine) / len(common),
        theirs=sum(yours) / len(common),
        difference=difference,
        ci_low=low,
        ci_high=high,
        wins=sum(our > their for our, their in zip(mine, yours, strict=True)),
        losses=sum(our < their for our, their in zip(mine, yours, strict=True)),
    )
