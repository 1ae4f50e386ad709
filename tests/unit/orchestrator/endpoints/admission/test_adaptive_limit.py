import math
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
    limit.observe_load(load(running=32), 0.0)
    for _ in range(int(FIRST)):
        limit.succeeded(0.0, 1.0, int(FIRST), 0.5)
    assert limit.limit == 2 * FIRST
    limit.observe_load(load(running=64, waiting=3), 1.0)
    for _ in range(int(limit.limit)):
        limit.succeeded(0.0, 1.0, int(limit.limit), 1.5)
    assert limit.limit == 2 * FIRST


@pytest.mark.parametrize("trouble", [load(running=64, waiting=40), load(64, 0, 0.9, preempted=1)])
def test_a_long_queue_or_preemptions_bring_it_down(trouble: ServerLoad) -> None:
    limit = AdaptiveLimit()
    limit.observe_load(trouble, 0.0)
    assert limit.limit < FIRST


def test_a_full_kv_cache_stops_its_growth() -> None:
    limit = AdaptiveLimit()
    limit.observe_load(load(running=32, kv=0.97), 0.0)
    for _ in range(int(FIRST)):
        limit.succeeded(1.0, 1.0, int(FIRST), 0.5)
    assert limit.limit == FIRST


def test_a_loop_that_lags_has_fewer_requests_in_flight_until_it_keeps_up() -> None:
    lag = LoopLag()
    lag.observe(0.001, 1_000)
    assert lag.cap == float("inf")
    for _ in range(5):
        lag.observe(0.1, 1_000)
    assert lag.cap < 400
    capped = lag.cap
    for _ in range(20):
        lag.observe(0.001, int(lag.cap) + 1)
    assert lag.cap > 2 * capped
    for _ in range(100):
        lag.observe(1.0, 1_000)
    assert lag.cap >= 16


def window(
    limit: AdaptiveLimit, pace: float, *, in_flight: int | None = None, at: float = 0.0
) -> float:
    """One window of answers, each of which took so long; what the limit is then."""
    full = int(limit.limit)
    for _ in range(math.ceil(limit.limit)):
        limit.succeeded(pace, 1.0, full if in_flight is None else in_flight, at)
    return limit.limit


def warm() -> AdaptiveLimit:
    """One that was answered within a second for every unit of work."""
    limit = AdaptiveLimit()
    assert window(limit, 1.0) == 64.0
    return limit


def test_a_window_is_as_many_answers_as_there_may_be_in_flight() -> None:
    limit = AdaptiveLimit()
    for _ in range(31):
        limit.succeeded(1.0, 1.0, 32, 0.0)
    assert limit.limit == 32
    limit.succeeded(1.0, 1.0, 32, 0.0)
    assert limit.limit == 64
    for _ in range(63):
        limit.succeeded(1.0, 1.0, 64, 0.0)
    assert limit.limit == 64


@pytest.mark.parametrize(("in_flight", "then"), [(32, 64), (31, 64), (30, 32)])
def test_it_grows_where_it_was_reached_but_for_one(in_flight: int, then: float) -> None:
    assert window(AdaptiveLimit(), 1.0, in_flight=in_flight) == then


@pytest.mark.parametrize("happens", [AdaptiveLimit.rejected, AdaptiveLimit.timed_out])
def test_half_a_window_of_trouble_is_enough(
    happens: Callable[[AdaptiveLimit, float], None],
) -> None:
    for answered in (0, 10):
        limit = AdaptiveLimit()
        for _ in range(answered):
            limit.succeeded(1.0, 1.0, 32, 0.0)
        for _ in range(15 - answered):
            happens(limit, 0.0)
        assert limit.limit == 32
        happens(limit, 0.0)
        assert limit.limit == pytest.approx(32 * 0.7)


@pytest.mark.parametrize(
    ("rejected", "timed_out", "size", "then"),
    [
        (1, 0, 32, 32.0),  # a rejection stops the growth
        (2, 0, 32, 32 * 0.7),
        (1, 0, 19, 19.0),  # one in twenty is not too many
        (0, 5, 32, 64.0),
        (0, 6, 32, 32 * 0.7),
        (0, 3, 17, 34.0),  # three in twenty are not
    ],
)
def test_more_than_a_twentieth_rejected_or_a_seventh_timed_out_is_too_much(
    rejected: int, timed_out: int, size: float, then: float
) -> None:
    limit = AdaptiveLimit(limit=size)
    for _ in range(rejected):
        limit.rejected(0.0)
    for _ in range(timed_out):
        limit.timed_out(0.0)
    assert window(limit, 1.0) == pytest.approx(then)


def test_after_trouble_it_grows_by_a_tenth_and_one() -> None:
    limit = AdaptiveLimit(limit=20.0)
    for _ in range(10):
        limit.rejected(0.0)
    assert limit.limit == 14.0
    assert window(limit, 1.0) == pytest.approx(14 * 1.1 + 1)
    assert window(limit, 1.0) == pytest.approx((14 * 1.1 + 1) * 1.1 + 1)


@pytest.mark.parametrize(
    ("pace", "then"), [(0.0, 128), (3.0, 128), (3.125, 64), (4.0, 64), (4.125, 64 * 0.9)]
)
def test_a_window_is_compared_with_the_fastest(pace: float, then: float) -> None:
    assert window(warm(), pace) == pytest.approx(then)


def test_a_slow_window_ends_the_doubling() -> None:
    limit = warm()
    assert window(limit, 3.5) == 64
    assert window(limit, 1.0) == pytest.approx(64 * 1.1 + 1)


def test_a_window_in_which_it_was_not_reached_lets_the_base_rise_a_little() -> None:
    for pace, then in ((3.03125, 128), (3.09375, 64)):
        limit = warm()
        assert window(limit, 5.0, in_flight=1) == 64
        assert window(limit, pace) == then


@pytest.mark.parametrize(("found", "then"), [(3.5, 71.4), (2.6875, 71.4), (2.625, 64), (1.0, 64)])
def test_after_twenty_slow_windows_half_as_many_are_tried(found: float, then: float) -> None:
    """Where these are as slow, the work is heavier, and their pace is the new base."""
    limit = warm()
    for _ in range(19):
        assert window(limit, 3.5) == 64
    assert window(limit, 3.5) == 32
    for _ in range(3):  # what is still answered was in flight with all the others
        assert window(limit, 3.5) == 32
    assert window(limit, found) == 64
    assert window(limit, 3.5) == pytest.approx(then)


def test_a_fast_window_between_slow_ones_puts_the_trial_off() -> None:
    limit = warm()
    for _ in range(19):
        window(limit, 3.5)
    size = window(limit, 1.0)
    for _ in range(19):
        assert window(limit, 3.5) == size
    assert window(limit, 3.5) == size / 2


def test_what_the_server_says_holds_for_three_seconds_and_one_step() -> None:
    limit = AdaptiveLimit()
    limit.observe_load(load(running=32), 10.0)
    assert window(limit, 1.0, at=11.0) == 64
    assert window(limit, 1.0, at=12.9) == 64
    assert window(limit, 1.0, at=13.0) == 128


def test_a_congested_server_is_given_less_down_to_one_request() -> None:
    limit = AdaptiveLimit()
    limit.observe_load(load(running=64, waiting=40), 0.0)
    assert limit.limit == pytest.approx(32 * 0.85)
    assert window(limit, 1.0, at=5.0) == pytest.approx(32 * 0.85 * 1.1 + 1)
    for _ in range(100):
        limit.observe_load(load(running=64, waiting=40), 0.0)
    assert limit.limit == 1.0


def test_a_lag_from_30_ms_takes_a_fifth_and_below_12_ms_gives_a_twentieth_back() -> None:
    lag = LoopLag()
    lag.observe(0.030, 1_000)
    assert lag.cap == float("inf")
    lag.observe(0.031, 1_000)
    assert lag.cap == 800
    lag.observe(0.012, 800)
    lag.observe(0.011, 719)
    assert lag.cap == 800
    lag.observe(0.011, 720)
    assert lag.cap == pytest.approx(840)
    lag.observe(0.031, 1_000)
    assert lag.cap == pytest.approx(672)
    lag.observe(0.031, 10)
    assert lag.cap == 16
