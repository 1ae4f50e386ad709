"""Faults on demand, as a value: what a fleet does wrong, to whom and when.

Whether a request meets a fault depends on the seed, the request's body and how often that body has
come before: not on order, time or replica, so the same requests fail in process and over HTTP, and
a retry is a new draw. Most strike before anything is computed. What is computed and lost all the
same is an answer that breaks off or lacks something, and what dies with a replica.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, ClassVar, Literal

import msgspec

from servers.simulated import wire

if TYPE_CHECKING:
    from servers.simulated.replica import SimulatedReplica


class HalfClosed(ConnectionResetError):
    """A connection that ends in the middle of an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """From ``at`` on, for ``lasts`` seconds, counted from the fleet's first request."""

    at: float
    lasts: float

    def holds(self, now: float) -> bool:
        return self.at <= now < self.at + self.lasts


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm(Window):
    """429 for every request, with ``retry_after`` seconds as its header where given."""

    retry_after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Death(Window):
    """``replica`` is gone, with what it was working on; None is all of them. It returns empty."""

    replica: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Shares of the POST requests (0 to 1) that end in each way, and what happens when.

    ``errors`` are 500s, ``throttled`` 429s, ``resets`` connections broken before an answer,
    ``half_closed`` ones broken in the middle of it, ``lies`` answers of 200 that are not what was
    asked, ``short`` ones that lack their last choice or score, and ``stalls`` requests that hear
    nothing for ``stall_s`` seconds and then break off. ``slow`` gives factors by replica. Raises
    ``ValueError`` where the shares exceed 1.
    """

    seed: int = 0
    errors: float = 0.0
    throttled: float = 0.0
    resets: float = 0.0
    half_closed: float = 0.0
    lies: float = 0.0
    short: float = 0.0
    stalls: float = 0.0
    stall_s: float = 3600.0
    retry_after: float | None = None
    slow: Mapping[str, float] = field(default_factory=dict)
    storms: tuple[Storm, ...] = ()
    deaths: tuple[Death, ...] = ()

    SHARES: ClassVar = ("errors", "throttled", "resets", "half_closed", "lies", "short", "stalls")

    def __post_init__(self) -> None:
        shares = [getattr(self, name) for name in self.SHARES]
        if min(shares) < 0 or sum(shares) > 1:
            raise ValueError(f"shares of faults are 0 to 1 and add up to at most 1, not {shares}")

    def strikes(self, body: bytes, times: int) -> str | None:
        """The fault a body meets when it comes for the so-manieth time, by its name in SHARES."""
        key = f"{self.seed}/{times}".encode()
        digest = blake2b(body, digest_size=8, key=key).digest()
        left = int.from_bytes(digest, "big") / 2**64
        for name in self.SHARES:
            left -= getattr(self, name)
            if left < 0:
                return name
        return None


LIES = (
    b'{"model": "',
    b"<!doctype html><title>502</title>",
    b'{"object": "text_completion", "choices": {}}',
    b'{"detail": "ok"}',
)


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


Spoiled = Literal["half_closed", "short"]
"""Ways to lose an answer that has been computed."""


def shortened(body: bytes) -> bytes:
    """An answer without its last choice or score."""
    answer = msgspec.json.decode(body)
    for listed in ("choices", "data"):
        if listed in answer:
            answer[listed].pop()
    return wire.encode(answer)


class FaultPlan:
    """``faults`` at work on the replicas of one fleet. ``met`` counts them by name."""

    def __init__(self, faults: Faults, replicas: Mapping[str, "SimulatedReplica"]) -> None:
        self.faults = faults
        self.met: Counter[str] = Counter()
        self._replicas = replicas
        self._began: float | None = None
        self._times: Counter[bytes] = Counter()
        self._rates = any(getattr(faults, name) for name in faults.SHARES)
        named = [*faults.slow, *(death.replica for death in faults.deaths if death.replica)]
        for name in named:
            if name not in replicas:
                raise ValueError(f"no replica is named {name!r}: known are {', '.join(replicas)}")
        for name, factor in faults.slow.items():
            replicas[name].engine.slowness = factor

    def begin(self) -> None:
        """The fleet's time begins, unless it has."""
        if self._began is not None:
            return
        loop = asyncio.get_running_loop()
        self._began = loop.time()
        for death in self.faults.deaths:
            for name, replica in self._replicas.items():
                if death.replica in (None, name):
                    loop.call_at(self._began + death.at, replica.engine.die)

    async def before(
        self, replica: str, method: str, path: str, body: bytes | None
    ) -> "Reply | Spoiled | None":
        """What a request meets instead of an answer, or what becomes of its answer.

        Raises ``ConnectionError``.
        """
        self.begin()
        assert self._began is not None
        now, faults = asyncio.get_running_loop().time() - self._began, self.faults
        if any(d.holds(now) for d in faults.deaths if d.replica in (None, replica)):
            self._note("deaths")
            raise ConnectionRefusedError(f"{replica} is down")
        if method != "POST":
            return None
        for storm in faults.storms:
            if storm.holds(now):
                self._note("storms")
                return _throttled(storm.retry_after)
        if not self._rates:
            return None
        body = body or b""
        key = blake2b(body, digest_size=12).digest()
        self._times[key] += 1
        name = faults.strikes(body, self._times[key])
        if name is not None:
            self._note(name)
        match name:
            case "errors":
                return Reply(500, wire.error(500, "EngineCore encountered an issue."))
            case "throttled":
                return _throttled(faults.retry_after)
            case "resets":
                raise ConnectionResetError(f"{replica} broke off the connection")
            case "half_closed" | "short":
                return name
            case "lies":
                return Reply(200, LIES[key[0] % len(LIES)])
            case "stalls":
                await asyncio.sleep(faults.stall_s)
                raise ConnectionResetError(f"{replica} broke off after saying nothing")
            case _:
                return None

    def _note(self, name: str) -> None:
        self.met[name] += 1


def _throttled(retry_after: float | None) -> Reply:
    headers = {} if retry_after is None else {"Retry-After": f"{retry_after:g}"}
    return Reply(429, wire.error(429, "Too many requests."), headers)
