"""Requests and tokens a minute, as configured or as the server's own headers tell.

A configured limit holds in every sliding minute. Tokens are reserved when a request goes out, by
what its like took so far, and corrected when its answer says; both are counted at the time it went
out, as providers do.

All of it goes by the event loop's clock, which in a planned run is a virtual one. asyncio-throttle
reads the machine's clock instead, and has everyone who waits look every 10 ms, which takes 41 % of
a core where 1,000 requests wait; it paces what is asked rarely, see ``sending``.
"""

import asyncio
import math
import re
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MINUTE = 60.0
_TRANSIT = 0.5
"""Seconds by which requests that went out a minute apart may arrive closer together."""

_DEVIATIONS = 7.0
_SURPRISE = 6.0
_LOOK_EVERY_S = 0.05
_RECENT, _SURPRISED = 0.02, 0.25
_FASTER = 1.1
"""Times the limit's even pace: so fast a window is filled, so that there is no burst of requests of
which nobody knows yet what they take."""

_BURST_S = 2.0
"""What may go at once after a quiet time: so many seconds' worth."""


@dataclass(frozen=True, slots=True)
class TokenEstimate:
    """Tokens a request will take: the ``mean`` of its like, their ``variance``, and the ``most``
    it can take at all."""

    mean: float
    variance: float
    most: float


_ONE = TokenEstimate(1.0, 0.0, 1.0)
"""A request, where requests are what is counted."""


@dataclass(slots=True)
class Estimator:
    """Learns what requests take: prompt tokens a byte sent, and tokens a sample."""

    per_byte: float = 0.3
    mean: float | None = None
    variance: float = 0.0

    def estimate(self, body_bytes: int, n: int, max_tokens: int | None) -> TokenEstimate:
        prompt = self.per_byte * body_bytes
        most = n * float(max_tokens if max_tokens is not None else 1_000)
        mean = most if self.mean is None else min(most, n * self.mean)
        return TokenEstimate(prompt + mean, self.variance * n * n, prompt + most)

    def observe(self, body_bytes: int, n: int, prompt_tokens: int, completion_tokens: int) -> None:
        if body_bytes and prompt_tokens:
            self.per_byte += _RECENT * (prompt_tokens / body_bytes - self.per_byte)
        sample = completion_tokens / n
        if self.mean is None:
            self.mean, self.variance = sample, (sample / 2) ** 2
            return
        off = sample - self.mean
        recent = _SURPRISED if off > _SURPRISE * math.sqrt(self.variance) else _RECENT
        self.mean += recent * off
        self.variance += recent * (off * off - self.variance)


@dataclass(slots=True, eq=False)
class Charge:
    """What a request under way is taken for; ``taken`` once its answer tells."""

    estimate: TokenEstimate
    at: float
    taken: float | None = None
    has_left: bool = False


@dataclass(slots=True)
class MinuteWindow:
    """So many tokens, or requests, in any sliding minute.

    What is under way is taken for its mean and ``_DEVIATIONS`` standard deviations of its sum, but
    no more than it can take at most: so the limit holds when the answers come, and little of it is
    left unused while they do not.
    """

    per_minute: float
    _charges: deque[Charge] = field(default_factory=deque)
    _taken: float = 0.0
    _mean: float = 0.0
    _variance: float = 0.0
    _most: float = 0.0

    def wait(self, estimate: TokenEstimate, now: float) -> float:
        """Seconds until there may be room for so much; 0 where there is."""
        self._forget(now)
        mean, variance = self._mean + estimate.mean, self._variance + estimate.variance
        sure = mean + _DEVIATIONS * math.sqrt(max(0.0, variance))
        under_way = min(self._most + estimate.most, sure)
        if not self._charges or self._taken + under_way <= self.per_minute:
            return 0.0  # what is larger than the whole limit goes alone
        return max(1e-3, min(_LOOK_EVERY_S, self._charges[0].at + MINUTE + _TRANSIT - now))

    def reserve(self, estimate: TokenEstimate, now: float) -> Charge:
        charge = Charge(estimate, now)
        self._charges.append(charge)
        self._add(estimate, 1)
        return charge

    def settle(self, charge: Charge, tokens: float) -> None:
        """Its answer says how many it took."""
        if charge.taken is None and not charge.has_left:
            charge.taken = tokens
            self._add(charge.estimate, -1)
            self._taken += tokens

    def _add(self, estimate: TokenEstimate, sign: int) -> None:
        self._mean += sign * estimate.mean
        self._variance += sign * estimate.variance
        self._most += sign * estimate.most

    def _forget(self, now: float) -> None:
        while self._charges and now - self._charges[0].at > MINUTE + _TRANSIT:
            charge = self._charges.popleft()
            charge.has_left = True
            if charge.taken is None:
                self._add(charge.estimate, -1)
            else:
                self._taken -= charge.taken


@dataclass(slots=True)
class Allowance:
    """What a server's own headers leave of a limit: a bucket that refills as they say.

    What went out after the request that they answer may not be counted in them, and is taken off.
    Headers may be wrong, or not say when there is more: a minute after the last word, and the last
    request, one goes out whatever they left, and its answer tells.
    """

    _left: float = math.inf
    _limit: float = math.inf
    _per_second: float = 0.0
    _at: float = 0.0
    _spent: float = 0.0
    _probe_at: float = 0.0

    @property
    def is_told(self) -> bool:
        return math.isfinite(self._left)

    @property
    def spent(self) -> float:
        """All that ever went out."""
        return self._spent

    def observe(
        self, limit: float, left: float, reset: float | None, spent: float, now: float
    ) -> None:
        """``left`` of ``limit`` were left to the request before which ``spent`` had gone out; the
        limit is whole again in ``reset`` seconds, None where that is not known."""
        left = min(max(left, 0.0), limit)
        self._limit, self._at = limit, now
        self._left = left - (self._spent - spent)
        if limit > left:
            self._per_second = (limit - left) / reset if reset else 0.0
        self._probe_at = now + MINUTE

    def went_well(self, now: float) -> None:
        """A request succeeded; where its answer has no word of the limit, a minute after the last,
        the limit is whole again."""
        if self.is_told and now > self._at + MINUTE:
            self._left, self._at = self._limit, now

    def wait(self, amount: float, now: float) -> float:
        """Seconds until so much is left, or one request goes out to see; 0 where it is."""
        missing = min(amount, self._limit) - self._now(now)
        if missing <= 0 or not self.is_told:
            return 0.0
        refilled = missing / self._per_second if self._per_second else math.inf
        return max(0.0, min(refilled, self._probe_at - now))

    def spend(self, amount: float, now: float = 0.0) -> None:
        self._spent += amount
        self._left -= amount
        self._probe_at = max(self._probe_at, now + MINUTE)

    def _now(self, now: float) -> float:
        return min(self._limit, self._left + self._per_second * (now - self._at))


@dataclass(slots=True, eq=False)
class Passed:
    """A request that was let through; what it is charged with, and what had gone out by then."""

    charge: Charge | None
    requests: float
    tokens: float


class RateLimits:
    """All limits of one endpoint. ``waited`` is how many seconds requests whose turn it was had to
    wait for one; the next waits since ``waiting_since`` and, by what is known now, until
    ``waiting_until`` (by the event loop's time)."""

    def __init__(self, requests_per_minute: int | None, tokens_per_minute: int | None) -> None:
        self.estimator = Estimator()
        self.waited = 0.0
        self.waiting_since: float | None = None
        self.waiting_until = 0.0
        self._requests_per_minute = requests_per_minute or math.inf
        self._tokens_per_minute = tokens_per_minute or math.inf
        self._not_before = 0.0
        self._requests = MinuteWindow(requests_per_minute) if requests_per_minute else None
        self._tokens = MinuteWindow(tokens_per_minute) if tokens_per_minute else None
        self._requests_told, self._tokens_told = Allowance(), Allowance()

    @property
    def are_any(self) -> bool:
        return (
            self._requests is not None
            or self._tokens is not None
            or self._requests_told.is_told
            or self._tokens_told.is_told
        )

    async def room(self, estimate: TokenEstimate) -> None:
        """Wait until a request may go, which ``passed`` then counts."""
        loop = asyncio.get_running_loop()
        began = self.waiting_since = loop.time()
        try:
            while (seconds := self._wait(estimate, loop.time())) > 0:
                self.waiting_until = loop.time() + seconds
                await asyncio.sleep(min(seconds, 1.0))
        finally:
            self.waited += loop.time() - began
            self.waiting_since = None

    def _wait(self, estimate: TokenEstimate, now: float) -> float:
        tokens = self._tokens.wait(estimate, now) if self._tokens is not None else 0.0
        requests = self._requests.wait(_ONE, now) if self._requests is not None else 0.0
        return max(
            tokens,
            requests,
            self._not_before - now,
            self._requests_told.wait(1.0, now),
            self._tokens_told.wait(estimate.mean, now),
        )

    def passed(self, estimate: TokenEstimate, now: float) -> Passed:
        """The request that there was ``room`` for goes out."""
        part = max(1.0 / self._requests_per_minute, estimate.mean / self._tokens_per_minute)
        even = min(1.0, part)  # a minute makes room for what is larger than the whole limit, too
        self._not_before = max(now - _BURST_S, self._not_before) + even * MINUTE / _FASTER
        self._requests_told.spend(1.0, now)
        self._tokens_told.spend(estimate.mean, now)
        if self._requests is not None:
            self._requests.reserve(_ONE, now)
        charge = self._tokens.reserve(estimate, now) if self._tokens is not None else None
        return Passed(charge, self._requests_told.spent, self._tokens_told.spent)

    def answered(self, passed: Passed | None, tokens: float | None) -> None:
        """``tokens`` None where the answer does not tell: then it is taken for its like."""
        if passed is not None and passed.charge is not None and self._tokens is not None:
            mean = passed.charge.estimate.mean
            self._tokens.settle(passed.charge, mean if tokens is None else tokens)

    def observe_headers(
        self,
        headers: Mapping[str, str],
        passed: Passed | None,
        now: float,
        unix: float | None = None,
    ) -> None:
        """Read ``x-ratelimit-*``, where a server sends them; ``unix`` is the time as servers have
        it."""
        for kind, allowance in (
            ("requests", self._requests_told),
            ("tokens", self._tokens_told),
        ):
            limit = _number(headers.get(f"x-ratelimit-limit-{kind}"))
            left = _number(headers.get(f"x-ratelimit-remaining-{kind}"))
            if limit is None or left is None or limit <= 0:
                continue
            reset = until(
                headers.get(f"x-ratelimit-reset-{kind}"), time.time() if unix is None else unix
            )
            spent = allowance.spent if passed is None else getattr(passed, kind)
            allowance.observe(limit, left, reset, spent, now)

    def went_well(self, now: float) -> None:
        """A request succeeded; ``observe_headers`` has read its headers already."""
        self._requests_told.went_well(now)
        self._tokens_told.went_well(now)


def _number(text: str | None) -> float | None:
    try:
        number = float(text) if text is not None else None
    except ValueError:
        return None
    return number if number is not None and math.isfinite(number) else None


_UNITS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "": 1.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|)")


def seconds(text: str | None) -> float | None:
    """``6m0s``, ``120ms``, ``1.5s`` or bare seconds; None where it is none of these."""
    text = (text or "").strip()
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return float(sum(float(number) * _UNITS[unit] for number, unit in parts))


_SECONDS_SINCE_1970, _MILLISECONDS_SINCE_1970 = 1e9, 1e11
"""What is larger is no duration: 30 years."""


def until(text: str | None, unix: float) -> float | None:
    """Seconds from ``unix`` (time since 1970) to the moment that a server means: by a duration, by
    seconds or milliseconds since 1970, or by a date (RFC 3339 or HTTP's).

    None where it is none of these, or is not to come.
    """
    text = (text or "").strip()
    left = seconds(text)
    if left is None:
        moment = _date(text)
        left = None if moment is None else moment - unix
    elif left >= _MILLISECONDS_SINCE_1970:
        left = left / 1e3 - unix
    elif left >= _SECONDS_SINCE_1970:
        left -= unix
    return left if left is not None and 0 < left < math.inf else None


def _date(text: str) -> float | None:
    """Seconds from 1970 to a date; one without a time zone is UTC's."""
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            date = read(text)
            return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            continue
    return None
