"""What a pool hands out of, and whether there is enough left for one more batch."""

import asyncio
import math
from typing import Protocol

MARGIN = 2.0
"""A batch is begun where so many times what it is expected to use is left: the use of single
batches scatters, and a cap is kept by leaving them room."""


class Cap(Protocol):
    """One cap for all problems of a job, in its own unit."""

    @property
    def deadline(self) -> float:
        """When it is used up, by the event loop's clock; never where it is not of time."""
        ...

    @property
    def share(self) -> float:
        """How much of it is used, from 0 to 1, without what is under way."""
        ...

    def open(self, used: float) -> None:
        """Begin, ``used`` having been used before."""
        ...

    def fits(self, expected: float) -> bool:
        """Whether a batch may be begun."""
        ...

    def set_aside(self, expected: float) -> None:
        """A batch begins."""
        ...

    def settle(self, expected: float, used: float) -> None:
        """What was set aside came to ``used``."""
        ...


class Amount:
    """Tokens, FLOPs or USD: what is under way is set aside until it is known what it used."""

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
    """Wall-clock from when the job is begun or gone on with, which all under way share."""

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
        """Time passes for all alike."""

    def settle(self, expected: float, used: float) -> None:
        """Time passed for all alike."""
