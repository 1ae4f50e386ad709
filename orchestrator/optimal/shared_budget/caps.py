"""What a pool hands out of, and whether there is enough left for one more batch."""

import asyncio
import math
from typing import Protocol

MARGIN = 2.0
"""A batch begins only if this many times its expected use is left: the use of single batches
scatters, and room for that keeps the cap."""


class Cap(Protocol):
    """One cap for all problems of a job, in its own unit."""

    @property
    def deadline(self) -> float:
        """When it is used up, by the event loop's clock; infinite unless it is one of time."""
        ...

    @property
    def share(self) -> float:
        """The used part, from 0 to 1, without what is under way."""
        ...

    def open(self, used: float) -> None:
        """Begin with ``used`` already used."""
        ...

    def fits(self, expected: float) -> bool:
        """Whether a batch may be begun."""
        ...

    def set_aside(self, expected: float) -> None:
        """Called when a batch begins."""
        ...

    def settle(self, expected: float, used: float) -> None:
        """Called when a batch ends: what was set aside for it came to ``used``."""
        ...


class Amount:
    """Tokens, FLOPs or USD. What is under way is set aside until its real use is known."""

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
    """Wall-clock seconds from the start of the job, or its resumption; all batches share them."""

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
        """Nothing: time passes for all alike."""

    def settle(self, expected: float, used: float) -> None:
        """Nothing: time passed for all alike."""
