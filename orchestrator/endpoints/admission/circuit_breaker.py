"""A circuit breaker: a replica that fails and fails is left alone until it is seen to answer.

::

    closed --(IN_A_ROW failures)--> open --(it is healthy)--> half-open --(a success)--> closed
                                     ^                          |
                                     +-------(a failure)--------+
"""

from dataclasses import dataclass
from typing import Literal

IN_A_ROW = 5
"""One request in five may fail by accident without a replica being taken for dead."""

_FIRST_LOOK_S, _LONGEST_S = 0.5, 8.0


@dataclass(slots=True)
class Breaker:
    """Times are the event loop's, in seconds. ``look_at`` is when an open one is asked for its
    health; ``is_tried`` says that a half-open one has been given the request that will tell."""

    state: Literal["closed", "open", "half-open"] = "closed"
    failures: int = 0
    look_at: float = 0.0
    is_tried: bool = False
    _wait: float = _FIRST_LOOK_S

    def succeeded(self) -> None:
        self.failures = 0
        self.state = "closed"
        self._wait = _FIRST_LOOK_S

    def failed(self, now: float, *, is_certain: bool = False) -> bool:
        """A failure; True where the breaker opens by it, as it does at once where it ``is_certain``
        that others would fail too."""
        self.failures += 1
        is_enough = is_certain or self.failures >= IN_A_ROW
        if self.state == "open" or (self.state == "closed" and not is_enough):
            return False
        self.state = "open"
        self._put_off(now)
        return True

    def on_health_check(self, healthy: bool, now: float) -> None:
        """An open one was asked for its health."""
        if healthy:
            self.state = "half-open"
        else:
            self._put_off(now)

    def _put_off(self, now: float) -> None:
        self.look_at = now + self._wait
        self._wait = min(_LONGEST_S, self._wait * 2)
