"""What a server says of its own load, where it does: vLLM's ``/metrics`` (Prometheus text)."""

import math
import re
from dataclasses import dataclass
from itertools import chain

_SAMPLE = re.compile(
    rb"^vllm:(num_requests_running|num_requests_waiting|kv_cache_usage_perc|num_preemptions_total)"
    rb"(?:\{[^}]*\})? (\S+)",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLoad:
    """Sequences ``running`` and ``waiting`` now, ``kv_cache_usage`` in 0..1, and how many requests
    were preempted for want of KV cache: ``preemptions`` since the server started, ``preempted``
    since it was asked before."""

    running: float
    waiting: float
    kv_cache_usage: float
    preemptions: float
    preempted: float = 0.0

    @property
    def is_saturated(self) -> bool:
        """More requests would only wait."""
        return self.waiting > 2 or self.kv_cache_usage > 0.95 or self.preempted > 0

    @property
    def is_congested(self) -> bool:
        """Fewer requests would be done as soon: a queue keeps an engine busy between two answers,
        and what is longer than that is better ordered on this side."""
        return self.waiting > max(4.0, 0.25 * self.running) or self.preempted > 0


def read_load(metrics: bytes, before: ServerLoad | None = None) -> ServerLoad | None:
    """The load in a server's metrics; None where they are not vLLM's, or cannot be read."""
    found: dict[bytes, list[float]] = {}
    try:
        for name, number in _SAMPLE.findall(metrics):
            found.setdefault(name, []).append(float(number))
    except ValueError:
        return None
    if not found or not all(map(math.isfinite, chain.from_iterable(found.values()))):
        return None
    preemptions = sum(found.get(b"num_preemptions_total", ()))
    return ServerLoad(
        running=sum(found.get(b"num_requests_running", ())),
        waiting=sum(found.get(b"num_requests_waiting", ())),
        kv_cache_usage=max(found.get(b"kv_cache_usage_perc", [0.0])),
        preemptions=preemptions,
        preempted=max(0.0, preemptions - before.preemptions) if before else 0.0,
    )


def is_another_servers(status: int, metrics: bytes) -> bool:
    """Whether an answer says that there are no metrics of vLLM here, and not only that they are out
    of reach for now."""
    return status in (404, 405, 501) or (status == 200 and b"vllm:" not in metrics)
