"""When a server that ended is started again."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How patient a supervisor is, in seconds.

    It asks a starting server every ``poll`` and a ready one every ``watch`` for its health and
    waits ``answer`` for it; one that has not answered for ``hung`` is taken to hang and ended. A
    server that was told to end has ``grace`` for it. Delays before a restart double from
    ``first_delay`` to ``longest_delay``, and begin anew once a server was ready for ``settled``. A
    server that never came up is started ``tries`` times.
    """

    poll: float = 0.1
    watch: float = 1.0
    answer: float = 5.0
    hung: float = 60.0
    grace: float = 10.0
    first_delay: float = 1.0
    longest_delay: float = 60.0
    settled: float = 60.0
    tries: int = 3

    def delay(self, failures: int) -> float:
        """Seconds to wait before the restart after so many failures in a row (1, 2, …)."""
        return float(min(self.longest_delay, self.first_delay * 2 ** min(failures - 1, 30)))
