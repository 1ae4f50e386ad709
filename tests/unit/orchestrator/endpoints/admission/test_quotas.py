"""What providers say of a rate limit that was met."""

import json
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
