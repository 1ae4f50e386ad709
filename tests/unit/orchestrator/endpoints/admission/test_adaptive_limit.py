from collections.abc import Callable

import pytest

from orchestrator.endpoints.admission.adaptive_limit import FIRST, AdaptiveLimit, LoopLag
from orchestrator.endpoints.admission.vllm_metrics import ServerLoad


def drive(limit: AdaptiveLimit, latency: Callable[[float], float], rounds: int = 40) -> float:
    """Keep a server full for so many rounds; ``latency`` is by requests in flight."""
    at = 0.0
    for _ in range(rounds):
        in_flight = int(limit.limit)
        seconds = latency(in_flight)
        at += seconds
        for _ in range(in_flight):
            limit.succeeded(seconds, 1.0, in_flight, at)
    return limit.limit


def load(
    running: float = 0, waiting: float = 0, kv: float = 0.1, preempted: float = 0
) -> ServerLoad:
    return ServerLoad(
        running=running, waiting=waiting, kv_cache_usage=kv, preemptions=0, preempted=preempted
    )  # fmt: skip


def test_it_starts_modest_and_doubles_while_latency_holds() -> None:
    limit = AdaptiveLimit()
    assert limit.limit == FIRST
    assert drive(limit, lambda n: 1.0, rounds=5) == 32 * FIRST


@pytest.mark.parametrize("capacity", [8, 100, 700])
def test_it_settles_where_a_server_is_full_and_its_queue_is_short(capacity: int) -> None:
    settled = drive(AdaptiveLimit(), lambda n: max(1.0, n / capacity), rounds=200)
    assert capacity <= settled <= 5 * max(capacity, FIRST)


def test_a_server_that_is_not_kept_full_is_not_given_more() -> None:
    limit = AdaptiveLimit()
    for i in range(1_000):
        limit.succeeded(1.0, 1.0, 5, float(i))
    assert limit.limit == FIRST


def test_work_that_becomes_heavier_is_told_from_a_queue() -> None:
    limit = AdaptiveLimit()
    drive(limit, lambda n: 1.0, rounds=3)
    before = limit.limit
    assert drive(limit, lambda n: 10.0, rounds=100) > before


def test_longer_answers_are_no_congestion() -> None:
    limit = AdaptiveLimit()
    drive(limit, lambda n: 1.0, rounds=3)
    before = limit.limit
    for _ in range(3 * int(before)):
        limit.succeeded(10.0, 10.0, int(limit.limit), 1.0)
    assert limit.limit > before


def test_rejections_bring_it_down_to_one_and_it_comes_up_again() -> None:
    limit = AdaptiveLimit()
    for _ in range(200):
        limit.rejected(0.0)
    assert limit.limit == 1.0
    assert drive(limit, lambda n: 1.0) > 10


def test_a_few_accidents_do_not_bring_it_down() -> None:
    limit = AdaptiveLimit()
    for i in range(2_000):
        if i % 20 == 0:
            limit.timed_out(float(i))
        else:
            limit.succeeded(1.0, 1.0, int(limit.limit), float(i))
    assert limit.limit >= FIRST


def test_what_the_server_says_of_its_queue_counts_for_more_than_its_latency() -> None:
    limit = AdaptiveLimit()
    limit.told(load(running=32), 0.0)
    for _ in range(int(FIRST)):
        limit.succeeded(0.0, 1.0, int(FIRST), 0.5)
    assert limit.limit == 2 * FIRST
    limit.told(load(running=64, waiting=3), 1.0)
    for _ in range(int(limit.limit)):
        limit.succeeded(0.0, 1.0, int(limit.limit), 1.5)
    assert limit.limit == 2 * FIRST


@pytest.mark.parametrize("trouble", [load(running=64, waiting=40), load(64, 0, 0.9, preempted=1)])
def test_a_long_queue_or_preemptions_bring_it_down(trouble: ServerLoad) -> None:
    limit = AdaptiveLimit()
    limit.told(trouble, 0.0)
    assert limit.limit < FIRST


def test_a_full_kv_cache_stops_its_growth() -> None:
    limit = AdaptiveLimit()
    limit.told(load(running=32, kv=0.97), 0.0)
    for _ in range(int(FIRST)):
        limit.succeeded(1.0, 1.0, int(FIRST), 0.5)
    assert limit.limit == FIRST


def test_a_loop_that_lags_has_fewer_requests_in_flight_until_it_keeps_up() -> None:
    lag = LoopLag()
    lag.seen(0.001, 1_000)
    assert lag.cap == float("inf")
    for _ in range(5):
        lag.seen(0.1, 1_000)
    assert lag.cap < 400
    capped = lag.cap
    for _ in range(20):
        lag.seen(0.001, int(lag.cap) + 1)
    assert lag.cap > 2 * capped
    for _ in range(100):
        lag.seen(1.0, 1_000)
    assert lag.cap >= 16
