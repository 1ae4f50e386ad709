"""The replicas of one endpoint, and which of them a request goes to.

A tree's requests go where its prefix is cached. Each question orders the replicas by a hash of
both (rendezvous hashing), so that a replica more or less moves no question but its own, and its
tree begins at the first that has no more than ``_UNEVEN`` times its share of the load (consistent
hashing with bounded loads: Mirrokni, Thorup and Zadimoghaddam 2018). There it stays, unless that
replica has ``_OVERLOADED`` times its share, or more than ``_UNEVEN`` and no room: then the tree
moves on, all of it, since its newest steps are cached where they were written.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from statistics import median

from orchestrator.endpoints.admission.adaptive_limit import AdaptiveLimit
from orchestrator.endpoints.admission.circuit_breaker import Breaker
from orchestrator.endpoints.admission.fair_queue import FairQueue
from orchestrator.endpoints.admission.vllm_metrics import ServerLoad
from orchestrator.errors import EndpointError, EndpointUnavailable

_UNEVEN, _OVERLOADED = 1.25, 2.0
_EASY = 8
"""Requests that overload no replica, whatever the others have."""

_SLOW = 3.0
"""A replica so many times slower than the middle one takes a share as much smaller."""

_FEW, _RECENT = 8, 0.2
_FIRST_LOAD_PAUSE_S, _LOAD_PAUSE_S = 1.0, 60.0
_KNOWN_QUESTIONS = 16_384


@dataclass(slots=True, eq=False)
class Replica:
    """One server. ``base`` is its URL without ``/v1``; ``pace`` the smoothed seconds it takes for a
    unit of work, of ``answers`` answers; ``doubts`` are its failures since the last of these that
    may be the requests' own fault; ``share`` the part of a usual replica's load it is given;
    ``paused_until`` (by the event loop's time) when it wants requests again, as the answer said by
    which it is ``paused_by``; ``queue`` who waits
    for it. ``load_told`` is what it said last of its load, which it is asked for from ``load_due``
    on, unless it ``tells_load`` never."""

    base: str
    limit: AdaptiveLimit = field(default_factory=AdaptiveLimit)
    breaker: Breaker = field(default_factory=Breaker)
    queue: FairQueue = field(default_factory=FairQueue)
    in_flight: int = 0
    pace: float = 0.0
    answers: int = 0
    doubts: int = 0
    share: float = 1.0
    paused_until: float = 0.0
    paused_by: EndpointUnavailable | None = None
    last_error: EndpointError | None = None
    load_told: ServerLoad | None = None
    load_due: float = 0.0
    tells_load: bool = True
    _load_pause: float = _FIRST_LOAD_PAUSE_S

    @property
    def load(self) -> int:
        return self.in_flight + len(self.queue)

    @property
    def has_room(self) -> bool:
        return self.in_flight < self.limit.limit

    def takes_requests(self, now: float) -> bool:
        """Half-open, it takes one, to show that it can."""
        state = self.breaker.state
        if state == "open" or now < self.paused_until:
            return False
        return state == "closed" or not self.breaker.is_tried

    def observe_load(self, load: ServerLoad, now: float) -> None:
        """Its metrics were read."""
        self.load_told = load
        self.limit.observe_load(load, now)
        self._load_pause = _FIRST_LOAD_PAUSE_S

    def observe_silence(self, now: float, *, is_another: bool = False) -> None:
        """Its metrics could not be read: it is asked ever more rarely, and no more where it
        ``is_another`` kind of server, as one that told before is not."""
        self.tells_load = self.load_told is not None or not is_another
        self.load_due = now + self._load_pause
        self._load_pause = min(_LOAD_PAUSE_S, 2 * self._load_pause)

    def record_latency(self, seconds: float, work: float) -> None:
        """It answered."""
        pace = seconds / work
        self.answers += 1
        self.doubts = 0
        self.pace = pace if self.answers == 1 else self.pace + _RECENT * (pace - self.pace)


class Replicas:
    """The replicas at ``bases``. Those that are ``put`` away finish what they have."""

    def __init__(self, bases: Iterable[str]) -> None:
        self._all: list[Replica] = []
        self._homes: dict[str, Replica] = {}
        self._order = lru_cache(_KNOWN_QUESTIONS)(self._ordered)
        self.put(bases)

    def __iter__(self) -> Iterator[Replica]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def put(self, bases: Iterable[str]) -> list[Replica]:
        """Have these and no others; those that are there already stay as they are. Returns the
        ones that went."""
        known = {replica.base: replica for replica in self._all}
        now = dict.fromkeys(bases)
        self._all = [known[base] if base in known else Replica(base) for base in now]
        self._order.cache_clear()
        self._homes = {question: home for question, home in self._homes.items() if home.base in now}
        return [replica for replica in known.values() if replica.base not in now]

    def choose(self, question: str, now: float, tried: Collection[Replica] = ()) -> Replica | None:
        """Where a request goes; another than those it was ``tried`` on, if there is one.

        None where no replica takes requests.
        """
        if len(self._all) == 1:
            only = self._all[0]
            return only if only.takes_requests(now) else None
        home = self._homes.get(question)
        if home is not None and not tried and home.takes_requests(now):
            if home.load < _EASY and home.share == 1.0:
                return home
            if home.load <= self._bound(home, now, _OVERLOADED if home.has_room else _UNEVEN):
                return home
        able = [each for each in self._order(question) if each.takes_requests(now)]
        able = [replica for replica in able if replica not in tried] or able
        if not able:
            return None
        for replica in able:
            if replica.load <= self._bound(replica, now, _UNEVEN):
                break
        else:
            replica = min(able, key=lambda each: each.load / each.share)
        self._remember(question, replica)
        return replica

    def _bound(self, replica: Replica, now: float, factor: float) -> float:
        """Requests that are this ``factor`` of its share of all there are, and a few more: trees
        ask for several things at once."""
        load = shares = 0.0
        for each in self._all:
            if each.takes_requests(now):
                load += each.load
                shares += each.share
        usual = _EASY if replica.share == 1.0 else 1
        return usual + factor * load * replica.share / shares

    def _remember(self, question: str, replica: Replica) -> None:
        homes = self._homes
        homes.pop(question, None)
        homes[question] = replica
        if len(homes) > _KNOWN_QUESTIONS:
            del homes[next(iter(homes))]

    def weigh(self) -> None:
        """Give slow replicas less, by what the others take for the same work. What little they get
        shows when they are slow no longer."""
        known = [replica for replica in self._all if replica.answers >= _FEW]
        for replica in known:
            others = [each.pace for each in known if each is not replica]
            usual = median(others) if others else replica.pace
            is_slow = replica.pace > _SLOW * usual
            replica.share = max(0.02, usual / replica.pace) if is_slow else 1.0

    def _ordered(self, question: str) -> tuple[Replica, ...]:
        key = question.encode()

        def rank(replica: Replica) -> bytes:
            return blake2b(key, digest_size=8, key=replica.base.encode()[-64:]).digest()

        return tuple(sorted(self._all, key=rank))
