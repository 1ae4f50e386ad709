"""What providers say of a rate limit that was met."""

import json
import math
import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.endpoints.admission.quotas import Quota, in_words, quota, retry_after
from orchestrator.endpoints.transport.refusals import error_in, refusal
from orchestrator.errors import EndpointUnavailable

NOW = 1_790_000_000.0  # Mon 21 Sep 2026, 14:13:20 UTC; 07:13:20 in California


@pytest.fixture(autouse=True)
def _utc() -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    yield
    os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
    time.tzset()


def error(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, **more}}


def googles(*quotas: str, delay: str = "32s") -> list[dict[str, Any]]:
    violations = [{"quotaMetric": "free_tier_requests", "quotaId": each} for each in quotas]
    details = [
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": violations},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay},
    ]
    said = error("You exceeded your current quota.", code=429, details=details)
    return [said]


TO_MIDNIGHT = 60_400.0  # in California
Case = tuple[dict[str, str], Any, str | None, float | None]
MET: dict[str, Case] = {
    "OpenAI, a day": (
        {"retry-after": "26000"},
        error("Rate limit reached for gpt-4o in organization org-x on requests per day (RPD): "
              "Limit 200, Used 200, Requested 1. Please try again in 7h12m."),
        "requests per day", 26_000.0,
    ),
    "OpenAI, a minute": (
        {"retry-after-ms": "20000"},
        error("Rate limit reached for gpt-4 on requests per min (RPM): Limit 3, Used 3. Please try "
              "again in 20s."),
        "requests per minute", 20.0,
    ),
    "a minute in short": (
        {}, error("Limit of 3 requests/min. Retry after 20 secs"), "requests per minute", 20.0,
    ),
    "the sentence alone": (
        {}, error("You sent too much. Please try again in 6m0s."), None, 360.0,
    ),
    "Groq, tokens": (
        {}, error("Rate limit reached for model `llama` on tokens per day (TPD): Limit 100000, "
                  "Used 99336, Requested 1500. Please try again in 12m2.304s. Need more tokens?"),
        "tokens per day", 722.304,
    ),
    "Gemini, a day": (
        {}, googles("GenerateRequestsPerDayPerProjectPerModel-FreeTier"),
        "requests per day", TO_MIDNIGHT,
    ),
    "Gemini, a day and a minute": (
        {}, googles("GenerateContentInputTokensPerModelPerMinute-FreeTier",
                    "GenerateRequestsPerDayPerProjectPerModel-FreeTier"),
        "requests per day", TO_MIDNIGHT,
    ),
    "Gemini, a minute": (
        {}, googles("GenerateContentInputTokensPerModelPerMinute-FreeTier", delay="18.387s"),
        "tokens per minute", 18.387,
    ),
    "OpenRouter, in the body": (
        {}, error("Rate limit exceeded: free-models-per-day. Add 10 credits", code=429, metadata={
            "headers": {"X-RateLimit-Limit": "50", "X-RateLimit-Remaining": "0",
                        "X-RateLimit-Reset": "1790026000000"}}),
        "per day", 26_000.0,
    ),
    "OpenRouter, in headers": (
        {"X-RateLimit-Limit": "50", "X-RateLimit-Remaining": "0",
         "X-RateLimit-Reset": "1790026000000"},
        error("Rate limit exceeded"), None, 26_000.0,
    ),
    "GitHub Models": (
        {"x-ratelimit-timeremaining": "52000"},
        error("Rate limit of 50 per 86400s exceeded for UserByModelByDay. Please wait 52000 "
              "seconds before retrying.", code="RateLimitReached"),
        "per day", 52_000.0,
    ),
    "Azure": (
        {}, error("Requests have exceeded the call rate limit of your current tier. Please retry "
                  "after 26 seconds."), None, 26.0,
    ),
    "Anthropic": (
        {"anthropic-ratelimit-requests-remaining": "0",
         "anthropic-ratelimit-requests-reset": "2026-09-21T18:13:20Z",
         "anthropic-ratelimit-tokens-remaining": "900",
         "anthropic-ratelimit-tokens-reset": "2026-09-22T18:13:20Z"},
        error("This request would exceed your rate limit of 50 requests per minute"),
        "requests per minute", 14_400.0,
    ),
    "Cerebras": (
        {"x-ratelimit-remaining-requests-day": "0", "x-ratelimit-reset-requests-day": "33011.38",
         "x-ratelimit-remaining-tokens-minute": "5", "x-ratelimit-reset-tokens-minute": "11.3"},
        {"message": "Too many requests"}, "requests per day", 33_011.38,
    ),
    "Django": (
        {}, {"detail": "Request was throttled. Expected available in 3521 seconds."}, None, 3_521.0,
    ),
    "a number in the body": ({}, error("rate limit", retry_after=12.5), None, 12.5),
    "a date": ({"Retry-After": "Mon, 21 Sep 2026 20:13:20 GMT"}, {}, None, 21_600.0),
    "a date in another age": (
        {"retry-after": "Wed, 21 Oct 2065 07:28:00 GMT"}, error("slow down"), None, None,
    ),
    "words for hours": (
        {}, error("You reached your daily quota. It resets in 5 hours and 30 minutes."),
        "per day", 19_800.0,
    ),
    "a header shorter than the sentence": (
        {"retry-after": "5"}, error("Please try again in 2h."), None, 7_200.0,
    ),
    "a day, and nothing of its end": ({}, error("Daily limit reached."), "per day", float("inf")),
    "a day or a minute, and nothing of its end": (
        {}, error("Free keys have 20 requests per minute and 1000 requests per day"),
        "requests per day", None,
    ),
    "a month, and nothing of its end": (
        {}, error("You have used all 1000 requests per month"), "requests per month", float("inf"),
    ),
    "a minute, and nothing of its end": (
        {}, error("Limit of 10 requests per minute"), "requests per minute", None,
    ),
    "nothing at all": ({}, error("Requests rate limit exceeded"), None, None),
    "no JSON": ({}, b"Too Many Requests", None, None),
    "no wait": ({"retry-after": "0"}, error("slow down"), None, None),
    "resets of what is left": (
        {"x-ratelimit-remaining-requests": "20", "x-ratelimit-reset-requests": "7h12m"},
        error("busy"), None, None,
    ),
}  # fmt: skip


def encoded(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


@pytest.mark.parametrize("case", MET.values(), ids=MET)
def test_which_limit_was_met_and_when_it_ends_is_read_as_providers_tell_it(case: Case) -> None:
    headers, body, name, seconds = case
    met = quota(headers, encoded(body), NOW)
    assert met.name == name
    assert met.ends_in == (None if seconds is None else pytest.approx(seconds))


def test_the_end_of_a_limit_is_told_as_a_duration_and_by_the_clock() -> None:
    assert in_words(25_920.0, NOW) == "in 7 h 12 min, at 21:25"
    assert in_words(42.0, NOW) == "in 42 s, at 14:14"
    assert in_words(60_400.0, NOW) == "in 16 h 46 min, at Tue 22 Sep, 07:00"
    assert "does not tell" in in_words(float("inf"), NOW)
    assert str(Quota("requests per day", None)) == "a rate limit (requests per day)"


def test_a_429_says_that_it_is_a_rate_limit_which_and_when_it_ends() -> None:
    headers, body, *_ = MET["OpenAI, a day"]
    for failure in (
        refusal(429, encoded(body), url="http://h", model="m", headers=headers),
        error_in(
            encoded({"error": {**body["error"], "code": 429}}),
            url="http://h",
            model="m",
            headers=headers,
        ),
    ):
        assert isinstance(failure, EndpointUnavailable)
        assert (failure.status, failure.retry_after) == (429, 26_000.0)
        said = str(failure)
        assert "answers 429, a rate limit (requests per day) that ends in 7 h 13 min, at " in said
        assert "Rate limit reached for gpt-4o" in said


def test_a_503_may_ask_to_wait_too() -> None:
    failure = refusal(503, b"", url="http://h", model="m", headers={"Retry-After": "7"})
    assert isinstance(failure, EndpointUnavailable) and failure.retry_after == 7.0
    assert retry_after({}, NOW) is None


@pytest.mark.parametrize(
    ("period", "ends_in"),
    [("second", None), ("minute", None), ("hour", None), ("day", math.inf), ("month", math.inf)],
)
def test_a_limit_of_more_than_an_hour_of_which_nothing_says_when_it_ends_will_not_end_soon(
    period: str, ends_in: float | None
) -> None:
    met = quota({}, encoded(error(f"Limit of 10 requests per {period}")), NOW)
    assert met == Quota(f"requests per {period}", ends_in)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500 ms", 0.5), ("500 milliseconds", 0.5), ("90s", 90.0), ("2 mins", 120.0),
        ("2 hrs", 7_200.0), ("3 days", 259_200.0), ("1d2h3m4.5s", 93_784.5),
    ],
)  # fmt: skip
def test_an_amount_of_time_is_read_in_its_units(text: str, seconds: float) -> None:
    met = quota({}, encoded(error(f"Please try again in {text}.")), NOW)
    assert met.ends_in == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("abbreviated", "name"),
    [("RPS", "requests per second"), ("RPM", "requests per minute"), ("RPH", "requests per hour"),
     ("RPD", "requests per day"), ("TPM", "tokens per minute"), ("TPD", "tokens per day")],
)  # fmt: skip
def test_an_abbreviated_limit_is_named_in_full(abbreviated: str, name: str) -> None:
    assert quota({}, encoded(error(f"{abbreviated} exceeded")), NOW).name == name


def test_of_several_limits_the_longest_is_named_and_of_its_names_the_fullest() -> None:
    said = error("10 requests per minute, 100 tokens per day, or 5 per day")
    assert quota({"retry-after": "9"}, encoded(said), NOW) == Quota("tokens per day", 9.0)


@pytest.mark.parametrize(("wish", "ends_in"), [("2764800", 2_764_800.0), ("2764801", None)])
def test_what_ends_later_than_in_32_days_is_no_limit_but_a_wrong_clock(
    wish: str, ends_in: float | None
) -> None:
    assert quota({"retry-after": wish}, b"", NOW).ends_in == ends_in


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "7", "retry-after-ms": "1500"}, 7.0),
        ({"retry-after": "0", "retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "soon"}, None),
    ],
)
def test_a_wish_to_wait_is_in_seconds_or_else_in_thousandths(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert retry_after(headers, NOW) == seconds


@pytest.mark.parametrize("left", ["0", "-1", "none"])
def test_a_limit_of_which_nothing_is_left_ends_with_its_reset(left: str) -> None:
    headers = {"x-ratelimit-remaining-requests": left, "x-ratelimit-reset-requests": "7s"}
    assert quota(headers, b"", NOW).ends_in == 7.0
    headers["x-ratelimit-remaining-requests"] = "0.5"
    assert quota(headers, b"", NOW).ends_in is None


def test_midnight_in_california_is_the_next_one() -> None:
    body = encoded(googles("GenerateRequestsPerDayPerProjectPerModel-FreeTier"))
    for hours in (0.0, 16.0, 16.7):
        ends_in = quota({}, body, NOW + 3_600 * hours).ends_in
        assert ends_in == pytest.approx(TO_MIDNIGHT - 3_600 * hours)
    assert quota({}, body, NOW + TO_MIDNIGHT).ends_in == pytest.approx(86_400.0)


def test_a_rate_limit_is_told_with_what_is_known_of_it() -> None:
    assert str(Quota(None, None)) == "a rate limit"
    assert str(Quota(None, math.inf)).endswith("that ends at a time that the server does not tell")
    assert str(Quota("tokens per day", 42.0)).startswith(
        "a rate limit (tokens per day) that ends in 42 s, at "
    )
