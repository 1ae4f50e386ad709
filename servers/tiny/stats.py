"""What a model has done so far, as vLLM counts it."""

from bisect import bisect_left
from dataclasses import dataclass, field

_EDGES = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


@dataclass(slots=True)
class Histogram:
    """Seconds, counted in the buckets of a Prometheus histogram."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(_EDGES) + 1))
    total: float = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(_EDGES, seconds)] += 1
        self.total += seconds

    def lines(self, name: str, labels: str) -> list[str]:
        """The histogram in Prometheus' text format; ``labels`` without braces."""
        lines, seen = [f"# TYPE {name} histogram"], 0
        for edge, count in zip((*_EDGES, "+Inf"), self.counts, strict=True):
            seen += count
            lines.append(f'{name}_bucket{{{labels},le="{edge}"}} {seen}')
        lines += [f"{name}_sum{{{labels}}} {self.total:.6f}", f"{name}_count{{{labels}}} {seen}"]
        return lines


@dataclass(slots=True)
class Stats:
    """Written by the compute thread, read by the event loop; each value is right on its own."""

    generating: int = 0  # sequences in the decoding batch
    scoring: int = 0  # sequences in the scoring batch
    waiting_to_generate: int = 0
    waiting_to_score: int = 0
    prompt_tokens: int = 0
    generation_tokens: int = 0
    cache_queries: int = 0  # tokens looked up in the prefix cache
    cache_hits: int = 0  # tokens found there
    cache_usage: float = 0.0
    queue_time: Histogram = field(default_factory=Histogram)
    first_token_time: Histogram = field(default_factory=Histogram)
    latency: Histogram = field(default_factory=Histogram)

    def lines(self, model: str) -> list[str]:
        """These numbers in Prometheus' text format, under vLLM's names."""
        labels = f'engine="0",model_name="{model}"'
        gauges: dict[str, float] = {
            "num_requests_running": self.generating + self.scoring,
            "num_requests_waiting": self.waiting_to_generate + self.waiting_to_score,
            "kv_cache_usage_perc": self.cache_usage,
        }
        counters = {
            "prefix_cache_queries_total": self.cache_queries,
            "prefix_cache_hits_total": self.cache_hits,
            "prompt_tokens_total": self.prompt_tokens,
            "generation_tokens_total": self.generation_tokens,
            "num_preemptions_total": 0,  # rows are never preempted: a request waits for room
        }
        lines = []
        for kind, values in (("gauge", gauges), ("counter", counters)):
            for name, value in values.items():
                lines += [f"# TYPE vllm:{name} {kind}", f"vllm:{name}{{{labels}}} {value}"]
        lines += self.queue_time.lines("vllm:request_queue_time_seconds", labels)
        lines += self.first_token_time.lines("vllm:time_to_first_token_seconds", labels)
        lines += self.latency.lines("vllm:e2e_request_latency_seconds", labels)
        return lines
