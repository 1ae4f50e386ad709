"""How an endpoint is doing, for people."""

from collections.abc import Sized
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How an endpoint is doing. ``limit`` is the most requests it is given at once; of its
    ``replicas`` so many are ``up`` and so many of these ``slow``; ``rate_limited`` is for how many
    seconds requests had to wait for the endpoint's rate. ``waits_for`` says in words why nothing
    goes out, where nothing does."""

    in_flight: int
    waiting: int
    limit: int
    replicas: int
    up: int
    slow: int
    retries: int
    rate_limited: float
    waits_for: str | None

    def __str__(self) -> str:
        if self.waits_for is not None:
            return self.waits_for
        parts = [f"{self.in_flight:,} in flight"]
        if self.waiting:
            parts.append(f"{self.waiting:,} waiting")
        if self.replicas > 1 or self.up < self.replicas:
            slow = f", {self.slow} slow" if self.slow else ""
            parts.append(f"{self.up}/{self.replicas} replicas{slow}")
        if self.retries:
            parts.append(f"{self.retries:,} {'retry' if self.retries == 1 else 'retries'}")
        return ", ".join(parts)


def all_of(replicas: Sized) -> str:
    return "the one replica" if len(replicas) == 1 else f"all {len(replicas)} replicas"
