"""How busy a server is, from vLLM's ``/metrics`` (Prometheus text)."""

import re
from dataclasses import dataclass

import httpx

_SAMPLE = re.compile(r"^vllm:(\w+)(?:\{[^}]*\})? (\S+)", re.MULTILINE)


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


def parse_metrics(text: str) -> Metrics:
    """Read what one server says of itself; over several engines counts add up."""
    samples: dict[str, list[float]] = {}
    for name, number in _SAMPLE.findall(text):
        samples.setdefault(name, []).append(float(number))
    total = {name: sum(numbers) for name, numbers in samples.items()}
    queries = total.get("prefix_cache_queries_total", 0.0)
    return Metrics(
        running=total.get("num_requests_running", 0.0),
        waiting=total.get("num_requests_waiting", 0.0),
        kv_cache_usage=max(samples.get("kv_cache_usage_perc", [0.0])),
        prefix_hit_ratio=total.get("prefix_cache_hits_total", 0.0) / queries if queries else None,
        generation_tokens=total.get("generation_tokens_total", 0.0),
        preemptions=total.get("num_preemptions_total", 0.0),
    )


def read_metrics(url: str, *, timeout: float = 2.0) -> Metrics | None:
    """Ask the server at ``url``, which needs no key for this; None where it does not answer."""
    try:
        with httpx.Client(timeout=timeout, trust_env=False) as http:
            return parse_metrics(http.get(f"{url}/metrics").raise_for_status().text)
    except httpx.HTTPError:
        return None
