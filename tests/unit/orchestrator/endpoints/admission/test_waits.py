"""What an endpoint's requests wait for, as a person is told."""

import pytest

from orchestrator.endpoints.admission.rate_limits import RateLimits
from orchestrator.endpoints.admission.replicas import Replica, Replicas
from orchestrator.endpoints.admission.status import Status
from orchestrator.endpoints.admission.waits import down, outlasting, pause, rate_limit, turn
from orchestrator.errors import EndpointUnavailable, RateLimited

LIMIT = EndpointUnavailable(
    "http://a answers 429: slow down.", url="http://a", status=429, retry_after=500.0,
    limit="requests per day",
)  # fmt: skip
BUSY = EndpointUnavailable("http://a answers 503", url="http://a", status=503)


def paused(*until: float, by: EndpointUnavailable | None = LIMIT) -> list[Replica]:
    replicas = list(Replicas(f"http://{i}" for i in range(len(until))))
    for replica, end in zip(replicas, until, strict=True):
        replica.paused_until, replica.paused_by = end, by
    return replicas


def test_a_rate_limit_that_ends_later_than_a_run_waits_is_the_end_of_it() -> None:
    assert rate_limit(paused(130.0), 10.0, 120.0) is None
    limit = rate_limit(paused(130.5), 10.0, 120.0)
    assert isinstance(limit, RateLimited)
    assert str(limit) == (
        "http://a answers 429: slow down (a run waits 2 min 0 s for a rate limit, or as long as "
        "the endpoint's `patience` says)"
    )
    assert (limit.retry_after, limit.limit) == (500.0, "requests per day")
    assert outlasting(limit, 9.0) is limit


def test_a_rate_limit_holds_nothing_up_while_a_replica_is_free_of_it_or_ends_sooner() -> None:
    assert rate_limit(paused(900.0, 100.0), 10.0, 120.0) is None
    assert rate_limit(paused(900.0, by=None), 10.0, 120.0) is None
    assert rate_limit([], 10.0, 120.0) is None
    free, limited = paused(0.0, 900.0)
    assert rate_limit([free, limited], 10.0, 120.0) is None
    free.breaker.failed(0.0, is_certain=True)  # and is not up any more
    assert rate_limit([free, limited], 10.0, 120.0) is not None


def test_replicas_that_are_down_are_counted() -> None:
    assert down(paused(0.0), 4.6) == "the one replica is down: waiting since 5 s"
    assert down(paused(0.0, 0.0), 4.4) == "all 2 replicas are down: waiting since 4 s"


def test_a_pause_is_what_all_replicas_ask_for() -> None:
    assert pause(paused(10.0, by=BUSY), 10.0) is None
    assert pause(paused(20.0, 10.0, by=BUSY), 10.0) is None
    assert pause(paused(20.0, by=BUSY), 10.0) == "the one replica asks to wait 10 s more"
    assert pause(paused(20.0, 15.0, by=None), 10.0) == "all 2 replicas ask to wait 5 s more"
    said = pause(paused(20.0), 10.0)
    assert said is not None
    assert said.startswith("waiting for a rate limit (requests per day) that ends in 10 s, at ")


@pytest.mark.parametrize(
    ("since", "until", "said"),
    [
        (None, 100.0, None),
        (9.0, 100.0, None),  # for a second
        (8.9, 15.0, "1,200 wait for the rate limit"),
        (8.9, 15.1, "1,200 wait for the rate limit, the next in 5 s, at "),
    ],
)
def test_a_wait_for_the_rate_is_told_once_it_is_more_than_a_moment(
    since: float | None, until: float, said: str | None
) -> None:
    rates = RateLimits(None, None)
    rates.waiting_since, rates.waiting_until = since, until
    found = turn(rates, 1_200, 10.0)
    assert found == said or (said is not None and found is not None and found.startswith(said))
    assert (found is not None and "next" in found) is (until > 15.0 and since == 8.9)


def status(**changes: object) -> str:
    usual = {
        "in_flight": 1_234, "waiting": 0, "limit": 9, "replicas": 1, "up": 1, "slow": 0,
        "retries": 0, "rate_limited": 0.0, "waits_for": None,
    }  # fmt: skip
    return str(Status(**usual | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "1,234 in flight"),
        ({"waiting": 1}, "1,234 in flight, 1 waiting"),
        ({"replicas": 2, "up": 2}, "1,234 in flight, 2/2 replicas"),
        ({"replicas": 2, "up": 1, "slow": 1}, "1,234 in flight, 1/2 replicas, 1 slow"),
        ({"up": 0}, "1,234 in flight, 0/1 replicas"),
        ({"retries": 1}, "1,234 in flight, 1 retry"),
        ({"retries": 2}, "1,234 in flight, 2 retries"),
        ({"waits_for": "all 2 replicas are down", "retries": 2}, "all 2 replicas are down"),
    ],
)
def test_a_status_says_what_is_worth_saying(changes: dict[str, object], said: str) -> None:
    assert status(**changes) == said
