"""How many requests a replica is given at once: found out while it works, nobody's to configure.

The limit doubles until the server shows that it has enough, and goes on in small steps from there
(slow start and congestion avoidance, as TCP has them). Enough is: its own queue grows, where its
metrics tell (``server_load``); else the time it takes for the same work becomes a multiple of what
it was (the gradient of Netflix's concurrency-limits and Envoy's filter); and in either case
rejections and timeouts. A few of these are a server's accidents, not its load: only their share in
a window of answers counts.
"""

from dataclasses import dataclass, field

from orchestrator.endpoints.admission.vllm_metrics import ServerLoad

FIRST = 32.0
"""Where a replica's limit starts: a batch that any server that batches can take."""

_SLOWER = 3.0  # × the base: a batch slows each of its requests, long before it is too large
_FAR_SLOWER = 4.0
_FORGET = 1.02  # a window in which the limit was not reached
_SLOW_WINDOWS = 20  # after so many it is tried whether half as many requests are as slow
_AS_SLOW = 0.75
_REJECTED, _TIMED_OUT = 0.05, 0.15  # share of a window's answers
_TOLD_FOR_S = 3.0
_LAG_HIGH_S, _LAG_LOW_S = 0.030, 0.012


@dataclass(slots=True)
class AdaptiveLimit:
    """The greatest number of requests in flight at one replica, at least 1."""

    limit: float = FIRST
    _doubling: bool = True
    _count: int = 0
    _rejected: int = 0
    _timed_out: int = 0
    _seconds: float = 0.0
    _work: float = 0.0
    _wanted: bool = False
    _base: float | None = None
    _slow_windows: int = 0
    _tried_from: tuple[float, float] | None = None
    _told_at: float | None = None
    _may_grow: bool = True

    def succeeded(self, seconds: float, work: float, in_flight: int, now: float) -> None:
        """One answer took so long for so much ``work`` (any unit, if always the same);
        ``in_flight`` were under way with it."""
        self._count += 1
        self._seconds += seconds
        self._work += work
        if in_flight >= self.limit - 1:
            self._wanted = True
        if self._count >= self.limit:
            self._close_window(now)

    def rejected(self, now: float) -> None:
        """A 429 or 503: the server has too much already."""
        self._rejected += 1
        if self._rejected + self._count >= self.limit / 2:
            self._close_window(now)

    def timed_out(self, now: float) -> None:
        self._timed_out += 1
        if self._timed_out + self._count >= self.limit / 2:
            self._close_window(now)

    def observe_load(self, load: ServerLoad, now: float) -> None:
        """What the server says of its own queue; while it does, its latency says nothing more."""
        self._told_at = now
        self._may_grow = not load.is_saturated
        if load.is_congested:
            self._doubling = False
            self.limit = max(1.0, self.limit * 0.85)

    def _close_window(self, now: float) -> None:
        answers = self._count + self._rejected + self._timed_out
        if self._rejected > _REJECTED * answers or self._timed_out > _TIMED_OUT * answers:
            self._doubling = False
            self.limit = max(1.0, self.limit * 0.7)
        elif self._wanted and not self._rejected:
            self._follow_latency_or_queue(now)
        else:
            self._pace()
        self._count = self._rejected = self._timed_out = 0
        self._seconds = self._work = 0.0
        self._wanted = False

    def _follow_latency_or_queue(self, now: float) -> None:
        pace = self._pace()
        if self._tried_from is not None:
            self._learn_from_trial(*self._tried_from)
            return
        if self._told_at is not None and now - self._told_at < _TOLD_FOR_S:
            if self._may_grow:
                self._may_grow = False  # until it has been asked again: growth takes time to show
                self._grow()
            return
        if pace <= _SLOWER:
            self._slow_windows = 0
            self._grow()
            return
        self._doubling = False
        if pace > _FAR_SLOWER:
            self.limit = max(1.0, self.limit * 0.9)
        self._slow_windows += 1
        if self._slow_windows >= _SLOW_WINDOWS and self._work:
            self._tried_from = self.limit, self._seconds / self._work
            self._slow_windows = 3
            self.limit = max(1.0, self.limit / 2)

    def _learn_from_trial(self, limit: float, pace: float) -> None:
        """Half as many were in flight. Where that is as slow, it is the work that is heavier, and
        not the queue that is long."""
        if self._slow_windows:  # what is still answered was in flight with all the others
            self._slow_windows -= 1
            return
        self._tried_from = None
        self.limit = limit
        now = self._seconds / self._work if self._work else pace
        if now > _AS_SLOW * pace:
            self._base = now

    def _pace(self) -> float:
        """This window's seconds for a unit of work, relative to the base."""
        if not self._work:
            return 1.0
        pace = self._seconds / self._work
        forget = 1.0 if self._wanted else _FORGET
        self._base = pace if self._base is None else min(pace, self._base * forget)
        return pace / self._base if self._base else 1.0

    def _grow(self) -> None:
        self.limit = self.limit * 2 if self._doubling else self.limit * 1.1 + 1


@dataclass(slots=True)
class LoopLag:
    """How many requests this process can have in flight without falling behind.

    Each answer takes a moment of the event loop; a burst of thousands makes everything else wait,
    the answers' own timeouts among it. ``lag`` is by how many seconds a timer came late.
    """

    cap: float = field(default=float("inf"))

    def observe(self, lag: float, in_flight: int) -> None:
        if lag > _LAG_HIGH_S:
            self.cap = max(16.0, min(self.cap, in_flight) * 0.8)
        elif lag < _LAG_LOW_S and in_flight >= 0.9 * self.cap:
            self.cap *= 1.05
