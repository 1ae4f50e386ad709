"""What an endpoint's requests wait for, in words, and what they do not wait for."""

from collections.abc import Iterable, Sequence

from orchestrator.endpoints.admission.quotas import Quota, in_words
from orchestrator.endpoints.admission.rate_limits import RateLimits
from orchestrator.endpoints.admission.replicas import Replica
from orchestrator.endpoints.admission.status import all_of
from orchestrator.errors import EndpointUnavailable, RateLimited
from orchestrator.formats.durations import duration

_LONG_S = 5.0


def rate_limit(replicas: Iterable[Replica], now: float, longest: float) -> RateLimited | None:
    """What no request is sent for: every replica that is up has met a rate limit that ends later
    than in ``longest`` seconds."""
    up = [replica for replica in replicas if replica.breaker.state != "open"]
    first = min(up, key=lambda replica: replica.paused_until, default=None)
    if first is None or first.paused_by is None or first.paused_until - now <= longest:
        return None
    return outlasting(first.paused_by, longest)


def outlasting(limit: EndpointUnavailable, longest: float) -> RateLimited:
    """The end of a run that waits ``longest`` seconds for a rate limit, and no longer."""
    if isinstance(limit, RateLimited):
        return limit
    return RateLimited(
        f"{limit.message.rstrip('. ')} (a run waits {duration(longest)} for a rate limit, or as "
        "long as the endpoint's `patience` says)",
        url=limit.url,
        retry_after=limit.retry_after,
        limit=limit.limit,
    )


def down(replicas: Sequence[Replica], seconds: float) -> str:
    are = "is" if len(replicas) == 1 else "are"
    return f"{all_of(replicas)} {are} down: waiting since {seconds:.0f} s"


def pause(replicas: Sequence[Replica], now: float) -> str | None:
    """What all replicas ask to wait for, if they do."""
    first = min(replicas, key=lambda replica: replica.paused_until)
    seconds = first.paused_until - now
    if seconds <= 0:
        return None
    if first.paused_by is not None and first.paused_by.status == 429:
        return f"waiting for {Quota(first.paused_by.limit, seconds)}"
    asks = "asks" if len(replicas) == 1 else "ask"
    return f"{all_of(replicas)} {asks} to wait {seconds:.0f} s more"


def turn(rates: RateLimits, waiting: int, now: float) -> str | None:
    """That so many requests wait for the endpoint's rate, if they do for more than a moment."""
    if rates.waiting_since is None or now - rates.waiting_since <= 1.0:
        return None
    rest = rates.waiting_until - now
    until = f", the next {in_words(rest)}" if rest > _LONG_S else ""
    return f"{waiting:,} wait for the rate limit{until}"
