import asyncio
import random
from itertools import pairwise

import pytest

from orchestrator.core.fanout import fan_out
from orchestrator.endpoints.admission.dispatcher import Dispatcher
from orchestrator.endpoints.admission.rate_limits import (
    Allowance,
    Estimator,
    MinuteWindow,
    RateLimits,
    TokenEstimate,
    seconds,
    until,
)
from servers.simulated import clock

NOTHING = TokenEstimate(0.0, 0.0, 0.0)


def test_requests_stay_under_the_limit_in_every_sliding_minute() -> None:
    async def go() -> list[float]:
        rates, went = RateLimits(100, None), []
        for _ in range(350):
            await rates.room(NOTHING)
            went.append(asyncio.get_running_loop().time())
            rates.passed(NOTHING, went[-1])
        return went

    went = clock.run(go())
    for start in went:
        assert sum(start <= each < start + 60.0 for each in went) <= 100
    assert went[-1] < 3.5 * 60


def test_an_even_pace_holds_where_a_quiet_time_is_over() -> None:
    async def go() -> list[float]:
        rates, went, loop = RateLimits(60, None), [], asyncio.get_running_loop()
        await asyncio.sleep(600.0)
        for _ in range(60):
            await rates.room(NOTHING)
            rates.passed(NOTHING, loop.time())
            went.append(loop.time() - 600.0)
        return went

    went = clock.run(go())
    assert went[0] == 0.0
    assert went[-1] == pytest.approx(60 / 1.1 - 2.0, abs=2.0)


def test_a_request_larger_than_the_whole_limit_holds_the_next_up_for_a_minute_at_most() -> None:
    rates = RateLimits(None, 1_000)
    rates.answered(rates.passed(TokenEstimate(5e6, 0.0, 5e6), 0.0), 900.0)
    assert rates._wait(TokenEstimate(50.0, 0.0, 50.0), 0.0) > 0.0
    assert rates._wait(TokenEstimate(50.0, 0.0, 50.0), 61.0) == 0.0


def test_tokens_under_way_are_taken_for_more_than_their_mean_but_not_for_more_than_can_be() -> None:
    window = MinuteWindow(1_000)
    sure = TokenEstimate(100.0, 0.0, 100.0)
    for _ in range(9):
        window.reserve(sure, 0.0)
    assert window.wait(sure, 0.0) == 0.0
    assert window.wait(TokenEstimate(100.0, 400.0, 300.0), 0.0) > 0
    assert window.wait(TokenEstimate(100.0, 400.0, 100.0), 0.0) == 0.0


def test_what_an_answer_took_replaces_what_it_was_taken_for() -> None:
    window, guess = MinuteWindow(1_000), TokenEstimate(500.0, 0.0, 500.0)
    first = window.reserve(guess, 0.0)
    second = window.reserve(guess, 0.0)
    assert window.wait(guess, 0.0) > 0
    window.settle(first, 100.0)
    window.settle(second, 300.0)
    window.settle(second, 300.0)
    assert window.wait(guess, 0.0) == 0.0
    assert window.wait(TokenEstimate(601.0, 0.0, 601.0), 0.0) > 0
    assert window.wait(TokenEstimate(1_000.0, 0.0, 1_000.0), 61.0) == 0.0


def test_a_request_that_outlasts_its_minute_is_forgotten_once() -> None:
    window, guess = MinuteWindow(1_000), TokenEstimate(900.0, 0.0, 900.0)
    charge = window.reserve(guess, 0.0)
    assert window.wait(guess, 61.0) == 0.0
    window.settle(charge, 900.0)
    window.reserve(guess, 61.0)
    assert window.wait(guess, 61.0) > 0


def test_a_request_larger_than_the_limit_goes_alone() -> None:
    window, huge = MinuteWindow(1_000), TokenEstimate(5_000.0, 0.0, 5_000.0)
    assert window.wait(huge, 0.0) == 0.0
    window.reserve(huge, 0.0)
    assert window.wait(NOTHING, 1.0) > 0
    assert window.wait(NOTHING, 61.0) == 0.0


def test_the_estimate_learns_and_until_then_expects_the_most() -> None:
    estimator, drawn = Estimator(), random.Random(1)
    assert estimator.estimate(100, 4, 50).mean == pytest.approx(0.3 * 100 + 4 * 50)
    for _ in range(500):
        estimator.observe(100, 4, 25, 4 * drawn.randint(10, 30))
    learned = estimator.estimate(100, 4, 2048)
    assert learned.mean == pytest.approx(25 + 4 * 20, rel=0.1)
    assert learned.variance == pytest.approx(16 * 36, rel=0.5)
    assert learned.most == pytest.approx(25 + 4 * 2048, rel=0.01)
    assert estimator.estimate(100, 4, 10).mean == pytest.approx(25 + 4 * 10, rel=0.01)


def test_a_surprise_is_learned_from_at_once() -> None:
    estimator = Estimator()
    for _ in range(200):
        estimator.observe(100, 1, 25, 20)
    estimator.observe(100, 1, 25, 400)
    assert estimator.estimate(100, 1, None).mean > 25 + 100


def test_an_allowance_counts_what_went_out_after_the_request_that_told() -> None:
    allowance = Allowance()
    assert not allowance.is_told and allowance.wait(1.0, 0.0) == 0.0
    for _ in range(5):
        allowance.spend(1.0)
    allowance.observe(limit=60.0, left=3.0, reset=57.0, spent=2.0, now=10.0)
    assert allowance.wait(1.0, 10.0) == pytest.approx(1.0)
    assert allowance.wait(1.0, 11.0) == 0.0
    allowance.spend(1.0)
    assert allowance.wait(1.0, 11.0) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("6m0s", 360.0), ("120ms", 0.12), ("1.5s", 1.5), ("1h2m3s", 3723.0), ("1d", 86400.0),
        ("17", 17.0), ("8.64s", 8.64), ("", None), (None, None), ("soon", None), ("5 s", None),
        ("2026-01-01T00:00:00Z", None),
    ],
)  # fmt: skip
def test_times_to_a_reset_are_read_as_servers_write_them(
    text: str | None, expected: float | None
) -> None:
    assert seconds(text) == (None if expected is None else pytest.approx(expected))


def test_headers_that_make_no_sense_are_no_limit() -> None:
    for headers in (
        {"x-ratelimit-limit-requests": "many", "x-ratelimit-remaining-requests": "1"},
        {"x-ratelimit-limit-requests": "0", "x-ratelimit-remaining-requests": "0"},
        {"x-ratelimit-limit-tokens": "nan", "x-ratelimit-remaining-tokens": "inf"},
        {"x-ratelimit-limit-tokens": "10"},
    ):
        rates = RateLimits(None, None)
        rates.observe_headers(headers, None, 0.0)
        assert not rates.are_any


NOW = 1_790_000_000.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7h12m", 25_920.0), ("26000", 26_000.0), ("1m26.4s", 86.4), ("250ms", 0.25),
        ("1790000060", 60.0), ("1790000060.5", 60.5), ("1790000060000", 60.0),
        ("2026-09-21T14:14:20Z", 60.0), ("2026-09-21T14:14:20.250Z", 60.25),
        ("2026-09-21T16:14:20+02:00", 60.0), ("2026-09-21T14:14:20", 60.0),
        ("Mon, 21 Sep 2026 14:14:20 GMT", 60.0),
        ("0", None), ("0s", None), ("-5", None), ("-5s", None), ("nan", None), ("inf", None),
        ("1789999999", None), ("1789999999000", None), ("2026-09-21T14:13:19Z", None),
        ("Mon, 21 Sep 2026 14:13:19 GMT", None), ("soon", None), ("", None), (None, None),
        ("9" * 400, None), ("2026-13-45", None), ("1e3", None),
    ],
)  # fmt: skip
def test_the_end_of_a_limit_is_read_as_a_duration_a_time_or_a_date(
    text: str | None, expected: float | None
) -> None:
    assert until(text, NOW) == (None if expected is None else pytest.approx(expected))


def told(**headers: str) -> dict[str, str]:
    """Headers by what comes after ``x-ratelimit-``."""
    return {f"x-ratelimit-{key.replace('_', '-')}": value for key, value in headers.items()}


def sends(headers: dict[str, str], requests: int = 8, seconds: float = 1.0) -> list[float]:
    """When requests went out, of which each is answered with the same headers; the first alone."""

    async def go() -> list[float]:
        loop, went = asyncio.get_running_loop(), []
        dispatcher = Dispatcher("m", ["http://a"])

        async def one() -> None:
            slot = await dispatcher.admit(None, TokenEstimate(100.0, 0.0, 100.0))
            went.append(loop.time())
            await asyncio.sleep(seconds)
            dispatcher.observe_headers(headers, slot)
            dispatcher.succeeded(slot, 1.0)
            dispatcher.release(slot)

        keeper = asyncio.create_task(dispatcher.keep_rates())
        await one()
        await asyncio.wait_for(fan_out(one() for _ in range(requests - 1)), 86_400.0)
        keeper.cancel()
        return went

    return clock.run(go())


NONE_LEFT = {
    "no reset": told(limit_requests="3", remaining_requests="0"),
    "an empty reset": told(limit_requests="3", remaining_requests="0", reset_requests=""),
    "a reset at once": told(limit_requests="3", remaining_requests="0", reset_requests="0s"),
    "a bare zero": told(limit_requests="3", remaining_requests="0", reset_requests="0"),
    "a negative reset": told(limit_requests="3", remaining_requests="0", reset_requests="-4"),
    "a reset that is no number": told(
        limit_requests="3", remaining_requests="0", reset_requests="nan"
    ),
    "a reset in words": told(limit_requests="3", remaining_requests="0", reset_requests="soon"),
    "a date that is past": told(
        limit_requests="3", remaining_requests="0", reset_requests="2020-01-01T00:00:00Z"
    ),
    "a time that is past": told(
        limit_requests="3", remaining_requests="0", reset_requests="1700000000"
    ),
    "a reset in a day": told(limit_requests="3", remaining_requests="0", reset_requests="24h"),
    "a reset in 100 years": told(
        limit_requests="3", remaining_requests="0", reset_requests="2126-01-01T00:00:00Z"
    ),
    "less than none left": told(limit_requests="3", remaining_requests="-7"),
    "only tokens": told(limit_tokens="1000", remaining_tokens="0"),
    "only tokens, of which too few are left": told(limit_tokens="1000", remaining_tokens="12"),
    "fewer tokens than a request takes": told(limit_tokens="50", remaining_tokens="0"),
    "both": told(
        limit_requests="3", remaining_requests="2", limit_tokens="1000", remaining_tokens="0"
    ),
}


@pytest.mark.parametrize("headers", NONE_LEFT.values(), ids=NONE_LEFT)
def test_where_nothing_is_left_one_request_a_minute_sees_whether_there_is_more(
    headers: dict[str, str],
) -> None:
    went = sends(headers)
    gaps = [later - before for before, later in pairwise(went)]
    assert gaps == pytest.approx([61.0] * 7, abs=1.5)


@pytest.mark.parametrize(
    "headers",
    [
        told(limit_requests="3", remaining_requests="9"),
        told(limit_requests="3", remaining_requests="nan", reset_requests="1h"),
        told(limit_requests="nan", remaining_requests="0", reset_requests="1h"),
        told(limit_requests="-3", remaining_requests="0"),
        told(remaining_requests="0", reset_requests="1h"),
        told(limit_requests="1000", remaining_requests="900"),
    ],
)
def test_headers_that_leave_enough_or_make_no_sense_hold_nothing_up(
    headers: dict[str, str],
) -> None:
    assert sends(headers)[-1] < 61.0


def test_an_answer_without_headers_a_minute_later_frees_all() -> None:
    rates = RateLimits(None, None)
    for _ in range(3):
        rates.passed(NOTHING, 0.0)
    rates.observe_headers(told(limit_requests="3", remaining_requests="0"), None, 0.0)
    assert rates._wait(NOTHING, 59.0) == pytest.approx(1.0)
    rates.went_well(59.0)
    assert rates._wait(NOTHING, 59.0) == pytest.approx(1.0)
    rates.passed(NOTHING, 60.0)
    assert rates._wait(NOTHING, 61.0) == pytest.approx(59.0)
    rates.went_well(62.0)
    for _ in range(3):
        assert rates._wait(NOTHING, 62.0) == 0.0
        rates.passed(NOTHING, 62.0)
    assert rates._wait(NOTHING, 62.0) > 0.0


def test_resets_as_times_since_1970_and_as_dates_are_kept_as_durations_are() -> None:
    for reset in ("30s", "1790000030", "1790000030000", "2026-09-21T14:13:50Z"):
        rates = RateLimits(None, None)
        headers = told(limit_requests="60", remaining_requests="0", reset_requests=reset)
        rates.observe_headers(headers, None, 0.0, NOW)
        assert rates._wait(NOTHING, 0.0) == pytest.approx(0.5)


def test_a_probe_that_is_under_way_for_long_is_followed_by_another_a_minute_later() -> None:
    went = sends(NONE_LEFT["no reset"], requests=4, seconds=150.0)
    assert [round(at) for at in went[:3]] == [0, 210, 270]


def test_the_estimate_begins_at_the_most_and_moves_by_a_fiftieth() -> None:
    estimator = Estimator()
    assert estimator.estimate(100, 2, 50) == TokenEstimate(130.0, 0.0, 130.0)
    assert estimator.estimate(100, 2, None) == TokenEstimate(2030.0, 0.0, 2030.0)
    estimator.observe(100, 2, 50, 20)
    assert estimator.per_byte == pytest.approx(0.304)
    assert (estimator.mean, estimator.variance) == (10.0, 25.0)
    found = estimator.estimate(100, 3, 50)
    assert (found.mean, found.variance) == (pytest.approx(60.4), 225.0)
    assert found.most == pytest.approx(180.4)
    assert estimator.estimate(0, 3, 9).mean == 27.0
    estimator.observe(0, 1, 50, 12)
    estimator.observe(100, 1, 0, 10)
    assert estimator.per_byte == pytest.approx(0.304)


@pytest.mark.parametrize(
    ("took", "mean", "variance"),
    [(12, 10.04, 24.58), (0, 9.8, 26.5), (40, 10.6, 42.5), (41, 17.75, 259.0)],
)
def test_a_surprise_is_six_deviations_above_the_mean(
    took: int, mean: float, variance: float
) -> None:
    estimator = Estimator(mean=10.0, variance=25.0)
    estimator.observe(100, 1, 30, took)
    assert estimator.mean == pytest.approx(mean)
    assert estimator.variance == pytest.approx(variance)


def exactly(tokens: float) -> TokenEstimate:
    return TokenEstimate(tokens, 0.0, tokens)


def test_a_window_holds_its_limit_to_the_last_token_and_for_a_minute_and_a_half_second() -> None:
    window = MinuteWindow(100)
    window.reserve(exactly(60), 0.0)
    assert window.wait(exactly(40), 0.0) == 0.0
    assert window.wait(exactly(41), 0.0) == 0.05
    assert window.wait(exactly(41), 60.48) == pytest.approx(0.02)
    assert window.wait(exactly(41), 60.5) == 1e-3
    assert window.wait(exactly(41), 60.51) == 0.0


def test_what_was_taken_leaves_with_its_request() -> None:
    window = MinuteWindow(100)
    first = window.reserve(exactly(60), 0.0)
    window.settle(first, 10.0)
    window.reserve(exactly(5), 30.0)
    assert window.wait(exactly(85), 30.0) == 0.0 < window.wait(exactly(86), 30.0)
    assert window.wait(exactly(95), 61.0) == 0.0 < window.wait(exactly(96), 61.0)
    window.settle(first, 50.0)
    assert window.wait(exactly(95), 61.0) == 0.0


@pytest.mark.parametrize(("per_minute", "is_room"), [(41, True), (40.9, False)])
def test_what_is_under_way_is_taken_for_seven_deviations_above_its_mean(
    per_minute: float, is_room: bool
) -> None:
    window = MinuteWindow(per_minute)
    window.reserve(TokenEstimate(10.0, 4.0, 100.0), 0.0)
    assert (window.wait(TokenEstimate(10.0, 5.0, 100.0), 0.0) == 0.0) is is_room


def test_an_allowance_refills_evenly_up_to_its_limit() -> None:
    allowance = Allowance()
    allowance.observe(limit=10.0, left=4.0, reset=3.0, spent=0.0, now=0.0)
    assert allowance.wait(4.0, 0.0) == 0.0
    assert allowance.wait(6.0, 0.0) == pytest.approx(1.0)
    assert allowance.wait(6.0, 0.5) == pytest.approx(0.5)
    assert allowance.wait(20.0, 0.0) == pytest.approx(3.0)
    allowance.spend(10.0, 50.0)
    assert allowance.wait(1.0, 3.0) == pytest.approx(0.5)


def test_what_is_left_is_enough_though_nobody_knows_when_there_is_more() -> None:
    allowance = Allowance()
    allowance.observe(limit=10.0, left=4.0, reset=None, spent=0.0, now=0.0)
    assert allowance.wait(4.0, 0.0) == 0.0
    assert allowance.wait(5.0, 0.0) == 60.0
    assert allowance.wait(5.0, 61.0) == 0.0
    allowance.spend(4.0, 30.0)
    assert allowance.wait(1.0, 40.0) == 50.0
    allowance.spend(1.0, 10.0)
    assert allowance.wait(1.0, 40.0) == 50.0


def test_left_is_between_nothing_and_the_limit() -> None:
    allowance = Allowance()
    allowance.observe(limit=10.0, left=-4.0, reset=10.0, spent=0.0, now=0.0)
    assert allowance.wait(1.0, 0.0) == pytest.approx(1.0)
    allowance.observe(limit=10.0, left=15.0, reset=10.0, spent=0.0, now=0.0)
    allowance.spend(10.0)
    assert allowance.wait(1.0, 0.0) == pytest.approx(1.0)  # as fast as it refilled before


def test_an_answer_without_a_word_frees_all_once_a_minute_is_over() -> None:
    allowance = Allowance()
    allowance.observe(limit=10.0, left=0.0, reset=None, spent=0.0, now=0.0)
    allowance.spend(1.0, 50.0)
    allowance.went_well(60.0)
    assert allowance.wait(10.0, 60.0) == 50.0
    allowance.went_well(60.1)
    assert allowance.wait(10.0, 60.1) == 0.0


def test_after_a_quiet_time_two_seconds_worth_goes_at_once() -> None:
    async def go() -> list[float]:
        rates, went, loop = RateLimits(60, None), [], asyncio.get_running_loop()
        await asyncio.sleep(100.0)
        for _ in range(5):
            await rates.room(NOTHING)
            rates.passed(NOTHING, loop.time())
            went.append(loop.time() - 100.0)
        return went

    went = clock.run(go())
    assert went == pytest.approx([0.0, 0.0, 0.0, 3 / 1.1 - 2, 4 / 1.1 - 2])


@pytest.mark.parametrize(("tokens", "gap"), [(1.0, 1 / 1.1), (200.0, 12 / 1.1), (5e6, 60 / 1.1)])
def test_the_pace_is_that_of_the_scarcer_of_both(tokens: float, gap: float) -> None:
    async def go() -> float:
        rates, loop = RateLimits(60, 1_000), asyncio.get_running_loop()
        rates.answered(rates.passed(exactly(tokens), loop.time()), 1.0)
        await rates.room(exactly(1.0))
        assert rates.waiting_since is None
        assert rates.waited == pytest.approx(loop.time())
        return loop.time()

    assert clock.run(go()) == pytest.approx(gap)


def test_while_one_waits_it_is_known_until_when() -> None:
    async def go() -> None:
        rates, loop = RateLimits(6, None), asyncio.get_running_loop()
        await asyncio.sleep(5.0)
        for _ in range(2):
            rates.passed(NOTHING, loop.time())
        waiting = asyncio.create_task(rates.room(NOTHING))
        await asyncio.sleep(0.5)
        assert rates.waiting_since == 5.0
        assert rates.waiting_until == pytest.approx(3.0 + 20 / 1.1)
        await waiting
        assert rates.waiting_since is None

    clock.run(go())


@pytest.mark.parametrize(
    ("limits", "headers", "are_any"),
    [
        ((None, None), {}, False),
        ((10, None), {}, True),
        ((None, 10), {}, True),
        ((None, None), told(limit_requests="3", remaining_requests="1"), True),
        ((None, None), told(limit_tokens="3", remaining_tokens="1"), True),
        ((None, None), told(limit_tokens="0", remaining_tokens="1"), False),
        ((None, None), told(limit_tokens="1", remaining_tokens="0"), True),
    ],
)
def test_there_are_limits_where_somebody_set_or_told_one(
    limits: tuple[int | None, int | None], headers: dict[str, str], are_any: bool
) -> None:
    rates = RateLimits(*limits)
    rates.observe_headers(headers, None, 0.0)
    assert rates.are_any is are_any


def test_an_answer_that_does_not_tell_is_taken_for_its_like() -> None:
    for tokens, room in ((None, 60.0), (10.0, 90.0), (0.0, 100.0)):
        rates = RateLimits(None, 100)
        rates.answered(rates.passed(TokenEstimate(40.0, 100.0, 90.0), 0.0), tokens)
        assert rates._wait(exactly(room), 59.0) == 0.0
        assert rates._wait(exactly(room + 1), 59.0) > 0.0
    rates.answered(None, 10.0)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("999999999", 999999999.0),
        ("1000000000", None),  # a second of 2001
        ("1790000010", 10.0),
        ("1790000000", None),
        ("99999999999", 98209999999.0),
        ("100000000000", None),
        ("1790000010000", 10.0),
        ("0s", None),
    ],
)
def test_what_is_longer_than_30_years_is_a_time_since_1970(text: str, left: float | None) -> None:
    found = until(text, 1_790_000_000.0)
    assert found == (None if left is None else pytest.approx(left))


def test_a_request_counts_as_one_in_its_limit() -> None:
    rates = RateLimits(3, None)
    for sent in range(3):
        assert rates._wait(NOTHING, 60.0 * sent) == 0.0
        rates.passed(NOTHING, 60.0 * sent)
    window = RateLimits(2, None)
    window.passed(NOTHING, 0.0)
    assert window._wait(NOTHING, 30.0) == 0.0
    window.passed(NOTHING, 30.0)
    assert window._wait(NOTHING, 59.9) > 0.0
