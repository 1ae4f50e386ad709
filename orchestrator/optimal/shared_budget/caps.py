"""Caps that a pool shares out, and whether one more batch fits."""

import asyncio
import math
from typing import Protocol

MARGIN = 2.0
"""A batch starts only if this many times its expected use remains: the use of batches varies, and
the margin keeps the total within the cap."""


class Cap(Protocol):
    """One cap for all problems of a job, in its own unit."""

    @property
    def deadline(self) -> float:
        """When the cap ends, by the event loop's clock; infinite unless it is a cap on time."""
        ...

    @property
    def share(self) -> float:
        """The used part, from 0 to 1, without batches under way."""
        ...

    def open(self, used: float) -> None:
        """Start with ``used`` already used."""
        ...

    def fits(self, expected: float) -> bool:
        """Whether a batch may start."""
        ...

    def set_aside(self, expected: float) -> None:
        """Called when a batch starts."""
        ...

    def settle(self, expected: float, used: float) -> None:
        """Called when a batch ends: it ``used`` this, instead of what was set aside."""
        ...


class Amount:
    """A cap on tokens, FLOPs or USD. Batches under way count by their expected use."""

    deadline = math.inf

    def __init__(self, cap: float) -> None:
        self._cap, self._used, self._aside = cap, 0.0, 0.0

    @property
    def share(self) -> float:
        return min(1.0, self._used / self._cap)

    def open(self, used: float) -> None:
        self._used += used

    def fits(self, expected: float) -> bool:
        return MARGIN * expected <= self._cap - self._used - self._aside

    def set_aside(self, expected: float) -> None:
        self._aside += MARGIN * expected

    def settle(self, expected: float, used: float) -> None:
        self._aside -= MARGIN * expected
        self._used += used


class Seconds:
    """A cap on wall-clock seconds since the job started or resumed, shared by all batches."""

    def __init__(self, cap: float) -> None:
        self._cap = cap
        self.deadline = math.inf

    @property
    def share(self) -> float:
        if math.isinf(self.deadline):
            return 0.0
        return min(1.0, 1.0 - (self.deadline - asyncio.get_running_loop().time()) / self._cap)

    def open(self, used: float) -> None:
        self.deadline = asyncio.get_running_loop().time() + self._cap

    def fits(self, expected: float) -> bool:
        return asyncio.get_running_loop().time() + MARGIN * expected <= self.deadline

    def set_aside(self, expected: float) -> None:
        """Nothing to do: time passes for all batches alike."""

    def settle(self, expected: float, used: float) -> None:
        """Nothing to do: time passes for all batches alike."""
