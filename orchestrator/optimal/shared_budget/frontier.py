"""The frontier of one difficulty bin: which arm a problem is given, and which after that, by the
accuracy that each adds for what it uses."""

from collections.abc import Sequence
from typing import NamedTuple

from orchestrator.optimal.arms import Arm


class FrontierStep(NamedTuple):
    """An arm, with what it gains in accuracy and uses of a budget beyond the step before: means
    over the bin's problems; and whether it is ``sure`` to gain."""

    arm: Arm
    gain: float
    extra: float
    sure: bool

    @property
    def rate(self) -> float:
        """Gain a unit."""
        return self.gain / self.extra


LEAST = 1e-9
"""What an arm uses at least, so that there is a rate."""


def frontier(
    arms: Sequence[Arm], sure: Sequence[bool], right: Sequence[float], used: Sequence[float]
) -> list[FrontierStep]:
    """From the cheapest arm on always the one that adds the most for what it uses, while any does:
    first of those that are sure to, then of the others.

    ``right[a]`` is an arm's accuracy in the bin and ``used[a]`` what it uses there. Samples go on
    where samples ended, so larger arms cost the difference. A tree search joins what is there and
    costs all of its own; none goes back from it to samples. Rates of the sure ones never rise, nor
    do those of the others.
    """
    first = now = min(range(len(arms)), key=lambda a: (used[a], -right[a]))
    found = [FrontierStep(arms[first], 0.0, max(LEAST, used[first]), True)]
    while True:
        steps = {}
        for a, arm in enumerate(arms):
            if right[a] > right[now] and (arms[now].is_sampling or not arm.is_sampling):
                before = used[now] if arm.is_sampling else used[first]
                extra = max(LEAST, used[a] - before)
                steps[a] = FrontierStep(arm, right[a] - right[now], extra, sure[a])
        if not steps:
            return found
        now = max(steps, key=lambda a: (steps[a].sure, steps[a].rate, steps[a].gain))
        found.append(steps[now])
