"""The frontier of one difficulty bin: the order in which its problems go through arms, by the
accuracy that each adds per unit of budget."""

from collections.abc import Sequence
from typing import NamedTuple

from orchestrator.optimal.arms import Arm


class FrontierStep(NamedTuple):
    """An arm with its ``gain`` in accuracy and its ``extra`` use over the step before (means over
    the bin's problems), and whether it is ``sure`` to gain."""

    arm: Arm
    gain: float
    extra: float
    sure: bool

    @property
    def rate(self) -> float:
        """Gain per unit of budget."""
        return self.gain / self.extra


LEAST = 1e-9
"""The least use of an arm, so that its rate is finite."""


def frontier(
    arms: Sequence[Arm], sure: Sequence[bool], right: Sequence[float], used: Sequence[float]
) -> list[FrontierStep]:
    """Start at the cheapest arm and step to the one with the highest rate until none gains
    anything: first through the sure arms, then through the others.

    ``right[a]`` is an arm's accuracy in the bin and ``used[a]`` what it uses there. More samples
    continue the ones already drawn, so a larger sampling arm costs the difference. A tree search
    adds its leaves to them at its full cost, and no step leads back from it to sampling. Rates
    never rise along the sure steps, nor along the others.
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
