"""What a server says of a rate limit that a request met: which one it is, and when it ends.

Providers tell it in a header or in the body, as a duration, a time or a sentence; some in several
of these, of which the latest is right: what is sent earlier is refused again.
"""

import math
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from orchestrator.endpoints.admission.rate_limits import until
from orchestrator.endpoints.http.complaints import UNREADABLE
from orchestrator.formats.durations import duration

_PERIODS = {"second": 1.0, "minute": 60.0, "hour": 3_600.0, "day": 86_400.0, "month": 2_592_000.0}
_OF_LETTERS = {"s": "second", "m": "minute", "h": "hour", "d": "day"}
_NO_LIMITS = 32 * 86_400.0
"""Nothing that ends later than in a month is a rate limit, but a clock that is wrong."""

_LONG = 3_600.0
"""Where nothing says when a limit ends, one of a longer period is not worth waiting for; but of
several that are named it may be the shortest that was met."""

_SHORT = {"sec": "second", "min": "minute"}
_PERIOD = r"(?P<period>second|sec|minute|min|hour|day|month)"
_OF_SOMETHING = re.compile(
    rf"(?i)(?P<what>request|token)s?[a-z]{{0,20}}?(?:[ _-]?(?:per|by|/)[ _-]?|[ _-]){_PERIOD}"
)
_OF_ANYTHING = re.compile(rf"(?i)(?:per|by|/)[ _-]?{_PERIOD}")
_ABBREVIATED = re.compile(r"\b(?P<what>[RT])P(?P<period>[SMHD])\b")
_DAILY = re.compile(r"(?i)\bdaily\b|\bper 86,?400 ?s")

_UNIT = r"(?:milliseconds?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d)(?![a-z])"
_AMOUNT = rf"\d+(?:\.\d+)?\s*{_UNIT}"
_AGAIN = re.compile(
    r"(?i)(?:try again|retry|retrying|wait|resets?|reset|available(?: again)?)\b"
    rf"[^.\d]{{0,40}}?(?P<amount>{_AMOUNT}(?:,?\s*(?:and\s+)?{_AMOUNT})*)"
)
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|mil|s|m|h|d)", re.IGNORECASE)
_SECONDS = {"ms": 1e-3, "mil": 1e-3, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}

_BODY_WISHES = ("retrydelay", "retry_delay", "retry_after", "retryafter", "retry-after")
_GOOGLES = re.compile(r"PerDay")
"""In a ``quotaId``: Google states half a minute for these, too, and resets them at midnight in
California (ai.google.dev/gemini-api/docs/rate-limits)."""


@dataclass(frozen=True, slots=True)
class Quota:
    """``name`` is of the limit that was met, as ``requests per day``, and None where it is not
    told. It ends in so many seconds: None where that is not known, and infinitely many where it
    will not be soon."""

    name: str | None
    ends_in: float | None

    def __str__(self) -> str:
        named = "a rate limit" + (f" ({self.name})" if self.name else "")
        if self.ends_in is None:
            return named
        return f"{named} that ends {in_words(self.ends_in)}"


UNKNOWN = Quota(None, None)


def in_words(seconds: float, unix: float | None = None) -> str:
    """When a limit ends: ``in 7 h 12 min, at 16:40``."""
    if not math.isfinite(seconds):
        return "at a time that the server does not tell"
    now = datetime.fromtimestamp(time.time() if unix is None else unix)
    end = now + timedelta(seconds=seconds)
    day = "" if end.date() == now.date() else f"{end:%a} {end.day} {end:%b}, "
    return f"in {duration(seconds)}, at {day}{end:%H:%M}"


def quota(headers: Mapping[str, str], content: bytes, unix: float | None = None) -> Quota:
    """The limit that an answer with status 429 tells of; ``unix`` is the time it came."""
    now = time.time() if unix is None else unix
    said = list(_said(content))
    text = " ".join(value for _, value in said)
    resets = [*_resets(headers.items(), now), *_resets(said, now)]
    limits = _limits(" ".join([text, *(header for header, _ in resets)]))
    _, name = max(limits, key=lambda each: (each[0], len(each[1])), default=(0.0, None))
    wishes = [
        *([wish] if (wish := retry_after(headers, now)) is not None else []),
        *(wish for key, value in said if key in _BODY_WISHES and (wish := until(value, now))),
        *(_amount(found["amount"]) for found in _AGAIN.finditer(text)),
    ]
    ends = [end for end in wishes or [reset for _, reset in resets] if end <= _NO_LIMITS]
    if any(key == "quotaid" and _GOOGLES.search(value) for key, value in said):
        ends.append(_to_midnight_in_california(now))
    if not ends:
        is_long = min((period for period, _ in limits), default=0.0) > _LONG
        return Quota(name, math.inf if is_long else None)
    return Quota(name, max(ends))


def retry_after(headers: Mapping[str, str], unix: float | None = None) -> float | None:
    """The seconds that an answer's headers ask to wait; None where they do not."""
    now = time.time() if unix is None else unix
    known = {key.lower(): value for key, value in headers.items()}
    whole, thousandths = until(known.get("retry-after"), now), known.get("retry-after-ms")
    if whole is None and (wish := until(thousandths, now)) is not None:
        return wish / 1e3
    return whole


def _resets(pairs: Any, now: float) -> Iterator[tuple[str, float]]:
    """Limits of which nothing is left, by the name of the header, and the seconds to their end."""
    known = {key.lower(): value for key, value in pairs}
    for key, value in known.items():
        if "ratelimit" not in key or "reset" not in key:
            continue
        left = known.get(key.replace("reset", "remaining"))
        if left is not None and _is_positive(left):
            continue
        if (reset := until(value, now)) is not None:
            yield key.replace("-", " "), reset


def _is_positive(text: str) -> bool:
    try:
        return float(text) > 0
    except ValueError:
        return False


def _said(content: bytes) -> Iterator[tuple[str, str]]:
    """Everything that stands in a body, with its key in lower case."""
    try:
        body = msgspec.json.decode(content)
    except UNREADABLE:
        yield "", content[:4_000].decode(errors="replace")
        return
    todo: list[tuple[str, Any]] = [("", body)]
    while todo:
        key, value = todo.pop()
        if isinstance(value, dict):
            todo += [(str(name).lower(), each) for name, each in value.items()]
        elif isinstance(value, list):
            todo += [(key, each) for each in value]
        elif isinstance(value, str | int | float) and not isinstance(value, bool):
            yield key, str(value)


def _limits(text: str) -> list[tuple[float, str]]:
    """The limits that a text speaks of: the seconds of their period, and their names."""
    found = [
        *((m["period"].lower(), m["what"].lower()) for m in _OF_SOMETHING.finditer(text)),
        *((m["period"].lower(), "") for m in _OF_ANYTHING.finditer(text)),
    ]
    found = [(_SHORT.get(period, period), what) for period, what in found]
    for match in _ABBREVIATED.finditer(text):
        what = {"R": "request", "T": "token"}[match["what"]]
        found.append((_OF_LETTERS[match["period"].lower()], what))
    if _DAILY.search(text):
        found.append(("day", ""))
    return [
        (_PERIODS[period], f"{what}s per {period}" if what else f"per {period}")
        for period, what in found
    ]


def _amount(text: str) -> float:
    return sum(float(number) * _SECONDS[unit.lower()] for number, unit in _PART.findall(text))


def _to_midnight_in_california(unix: float) -> float:
    try:
        zone: tzinfo = ZoneInfo("America/Los_Angeles")
    except ZoneInfoNotFoundError:
        zone = timezone(timedelta(hours=-8))
    now = datetime.fromtimestamp(unix, UTC).astimezone(zone)
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight.timestamp() - unix
