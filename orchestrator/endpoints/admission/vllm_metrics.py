"""What a server says of its own load, where it does: vLLM's ``/metrics`` (Prometheus text)."""

import math
import re
from dataclasses import dataclass
from itertools import chain

_SAMPLE = re.compile(
    rb"^vllm:(num_requests_running|num_requests_waiting|kv_cache_usage_perc|num_preemptions_total|"
    rb"prefix_cache_queries_total|prefix_cache_hits_total|generation_tokens_total)"
    rb"(?:\{[^}]*\})? (\S+)",
    re.MULTILINE,
)


class _Samples:
    """Of one server, by name; counts of several engines add up."""

    def __init__(self, metrics: bytes) -> None:
        """Raises ``ValueError`` where a sample is no number."""
        self._found: dict[bytes, list[float]] = {}
        for name, number in _SAMPLE.findall(metrics):
            self._found.setdefault(name, []).append(float(number))

    @property
    def are_readable(self) -> bool:
        numbers = chain.from_iterable(self._found.values())
        return bool(self._found) and all(map(math.isfinite, numbers))

    def total(self, name: bytes) -> float:
        return sum(self._found.get(name, ()))

    def most(self, name: bytes) -> float:
        return max(self._found.get(name, [0.0]))


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
    try:
        samples = _Samples(metrics)
    except ValueError:
        return None
    if not samples.are_readable:
        return None
    preemptions = samples.total(b"num_preemptions_total")
    return ServerLoad(
        running=samples.total(b"num_requests_running"),
        waiting=samples.total(b"num_requests_waiting"),
        kv_cache_usage=samples.most(b"kv_cache_usage_perc"),
        preemptions=preemptions,
        preempted=max(0.0, preemptions - before.preemptions) if before else 0.0,
    )


def is_another_servers(status: int, metrics: bytes) -> bool:
    """Whether an answer says that there are no metrics of vLLM here, and not only that they are out
    of reach for now."""
    return status in (404, 405, 501) or (status == 200 and b"vllm:" not in metrics)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Requests ``running`` and ``waiting`` now, and since the start of the server the tokens
    generated, the requests preempted for want of KV cache, and the part of prompt tokens that the
    prefix cache held (None before the first). ``kv_cache_usage`` is 0 to 1.
    """

    running: float
    waiting: float
    kv_cache_usage: float
    prefix_hit_ratio: float | None
    generation_tokens: float
    preemptions: float


def parse_metrics(metrics: bytes) -> Metrics:
    """What one server says of itself, for people."""
    samples = _Samples(metrics)
    queries = samples.total(b"prefix_cache_queries_total")
    hits = samples.total(b"prefix_cache_hits_total")
    return Metrics(
        running=samples.total(b"num_requests_running"),
        waiting=samples.total(b"num_requests_waiting"),
        kv_cache_usage=samples.most(b"kv_cache_usage_perc"),
        prefix_hit_ratio=hits / queries if queries else None,
        generation_tokens=samples.total(b"generation_tokens_total"),
        preemptions=samples.total(b"num_preemptions_total"),
    )
