import asyncio
import random
from itertools import pairwise

import pytest

from orchestrator.core.fanout import fan_out
from orchestrator.endpoints.admission.dispatcher import Dispatcher
from orchestrator.endpoints.admission.rate_limits import (
    Allowance,
    Estimate,
    Estimator,
    RateLimits,
    Window,
    seconds,
    until,
)
from servers.simulated import clock

NOTHING = Estimate(0.0, 0.0, 0.0)


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
    rates.answered(rates.passed(Estimate(5e6, 0.0, 5e6), 0.0), 900.0)
    assert rates._wait(Estimate(50.0, 0.0, 50.0), 0.0) > 0.0
    assert rates._wait(Estimate(50.0, 0.0, 50.0), 61.0) == 0.0


def test_tokens_under_way_are_taken_for_more_than_their_mean_but_not_for_more_than_can_be() -> None:
    window = Window(1_000)
    sure = Estimate(100.0, 0.0, 100.0)
    for _ in range(9):
        window.reserve(sure, 0.0)
    assert window.wait(sure, 0.0) == 0.0
    assert window.wait(Estimate(100.0, 400.0, 300.0), 0.0) > 0
    assert window.wait(Estimate(100.0, 400.0, 100.0), 0.0) == 0.0


def test_what_an_answer_took_replaces_what_it_was_taken_for() -> None:
    window, guess = Window(1_000), Estimate(500.0, 0.0, 500.0)
    first = window.reserve(guess, 0.0)
    second = window.reserve(guess, 0.0)
    assert window.wait(guess, 0.0) > 0
    window.settle(first, 100.0)
    window.settle(second, 300.0)
    window.settle(second, 300.0)
    assert window.wait(guess, 0.0) == 0.0
    assert window.wait(Estimate(601.0, 0.0, 601.0), 0.0) > 0
    assert window.wait(Estimate(1_000.0, 0.0, 1_000.0), 61.0) == 0.0


def test_a_request_that_outlasts_its_minute_is_forgotten_once() -> None:
    window, guess = Window(1_000), Estimate(900.0, 0.0, 900.0)
    charge = window.reserve(guess, 0.0)
    assert window.wait(guess, 61.0) == 0.0
    window.settle(charge, 900.0)
    window.reserve(guess, 61.0)
    assert window.wait(guess, 61.0) > 0


def test_a_request_larger_than_the_limit_goes_alone() -> None:
    window, huge = Window(1_000), Estimate(5_000.0, 0.0, 5_000.0)
    assert window.wait(huge, 0.0) == 0.0
    window.reserve(huge, 0.0)
    assert window.wait(NOTHING, 1.0) > 0
    assert window.wait(NOTHING, 61.0) == 0.0


def test_the_estimate_learns_and_until_then_expects_the_most() -> None:
    estimator, drawn = Estimator(), random.Random(1)
    assert estimator.estimate(100, 4, 50).mean == pytest.approx(0.3 * 100 + 4 * 50)
    for _ in range(500):
        estimator.saw(100, 4, 25, 4 * drawn.randint(10, 30))
    learned = estimator.estimate(100, 4, 2048)
    assert learned.mean == pytest.approx(25 + 4 * 20, rel=0.1)
    assert learned.variance == pytest.approx(16 * 36, rel=0.5)
    assert learned.most == pytest.approx(25 + 4 * 2048, rel=0.01)
    assert estimator.estimate(100, 4, 10).mean == pytest.approx(25 + 4 * 10, rel=0.01)


def test_a_surprise_is_learned_from_at_once() -> None:
    estimator = Estimator()
    for _ in range(200):
        estimator.saw(100, 1, 25, 20)
    estimator.saw(100, 1, 25, 400)
    assert estimator.estimate(100, 1, None).mean > 25 + 100


def test_an_allowance_counts_what_went_out_after_the_request_that_told() -> None:
    allowance = Allowance()
    assert not allowance.is_told and allowance.wait(1.0, 0.0) == 0.0
    for _ in range(5):
        allowance.spend(1.0)
    allowance.told(limit=60.0, left=3.0, reset=57.0, spent=2.0, now=10.0)
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
        rates.told(headers, None, 0.0)
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
            slot = await dispatcher.admit(None, Estimate(100.0, 0.0, 100.0))
            went.append(loop.time())
            await asyncio.sleep(seconds)
            dispatcher.told(headers, slot)
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
    rates.told(told(limit_requests="3", remaining_requests="0"), None, 0.0)
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
        rates.told(headers, None, 0.0, NOW)
        assert rates._wait(NOTHING, 0.0) == pytest.approx(0.5)


def test_a_probe_that_is_under_way_for_long_is_followed_by_another_a_minute_later() -> None:
    went = sends(NONE_LEFT["no reset"], requests=4, seconds=150.0)
    assert [round(at) for at in went[:3]] == [0, 210, 270]
