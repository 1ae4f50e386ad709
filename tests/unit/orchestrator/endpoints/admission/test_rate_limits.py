import asyncio
from itertools import pairwise

import pytest

from orchestrator.core.fanout import fan_out
from orchestrator.endpoints.admission.dispatcher import Dispatcher
from orchestrator.endpoints.admission.rate_limits import (
    RateLimits,
    TokenEstimate,
)
from servers.simulated import clock
from tests.unit.orchestrator.endpoints.admission.estimates import NOTHING, NOW, exactly


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


def ratelimit(**headers: str) -> dict[str, str]:
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
    "no reset": ratelimit(limit_requests="3", remaining_requests="0"),
    "an empty reset": ratelimit(limit_requests="3", remaining_requests="0", reset_requests=""),
    "a reset at once": ratelimit(limit_requests="3", remaining_requests="0", reset_requests="0s"),
    "a bare zero": ratelimit(limit_requests="3", remaining_requests="0", reset_requests="0"),
    "a negative reset": ratelimit(limit_requests="3", remaining_requests="0", reset_requests="-4"),
    "a reset that is no number": ratelimit(
        limit_requests="3", remaining_requests="0", reset_requests="nan"
    ),
    "a reset in words": ratelimit(
        limit_requests="3", remaining_requests="0", reset_requests="soon"
    ),
    "a date that is past": ratelimit(
        limit_requests="3", remaining_requests="0", reset_requests="2020-01-01T00:00:00Z"
    ),
    "a time that is past": ratelimit(
        limit_requests="3", remaining_requests="0", reset_requests="1700000000"
    ),
    "a reset in a day": ratelimit(limit_requests="3", remaining_requests="0", reset_requests="24h"),
    "a reset in 100 years": ratelimit(
        limit_requests="3", remaining_requests="0", reset_requests="2126-01-01T00:00:00Z"
    ),
    "less than none left": ratelimit(limit_requests="3", remaining_requests="-7"),
    "only tokens": ratelimit(limit_tokens="1000", remaining_tokens="0"),
    "only tokens, of which too few are left": ratelimit(limit_tokens="1000", remaining_tokens="12"),
    "fewer tokens than a request takes": ratelimit(limit_tokens="50", remaining_tokens="0"),
    "both": ratelimit(
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
        ratelimit(limit_requests="3", remaining_requests="9"),
        ratelimit(limit_requests="3", remaining_requests="nan", reset_requests="1h"),
        ratelimit(limit_requests="nan", remaining_requests="0", reset_requests="1h"),
        ratelimit(limit_requests="-3", remaining_requests="0"),
        ratelimit(remaining_requests="0", reset_requests="1h"),
        ratelimit(limit_requests="1000", remaining_requests="900"),
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
    rates.observe_headers(ratelimit(limit_requests="3", remaining_requests="0"), None, 0.0)
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
        headers = ratelimit(limit_requests="60", remaining_requests="0", reset_requests=reset)
        rates.observe_headers(headers, None, 0.0, NOW)
        assert rates._wait(NOTHING, 0.0) == pytest.approx(0.5)


def test_a_probe_that_is_under_way_for_long_is_followed_by_another_a_minute_later() -> None:
    went = sends(NONE_LEFT["no reset"], requests=4, seconds=150.0)
    assert [round(at) for at in went[:3]] == [0, 210, 270]


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
        ((None, None), ratelimit(limit_requests="3", remaining_requests="1"), True),
        ((None, None), ratelimit(limit_tokens="3", remaining_tokens="1"), True),
        ((None, None), ratelimit(limit_tokens="0", remaining_tokens="1"), False),
        ((None, None), ratelimit(limit_tokens="1", remaining_tokens="0"), True),
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
