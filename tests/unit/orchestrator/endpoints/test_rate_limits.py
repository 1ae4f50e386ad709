import asyncio
import random

import pytest

from orchestrator.endpoints.rate_limits import (
    Allowance,
    Estimate,
    Estimator,
    RateLimits,
    RequestWindow,
    TokenWindow,
    seconds,
)
from servers.simulated import clock

NOTHING = Estimate(0.0, 0.0, 0.0)


def test_requests_stay_under_the_limit_in_every_sliding_minute() -> None:
    async def go() -> list[float]:
        window, went = RequestWindow(100), []
        for _ in range(350):
            await window.acquire()
            went.append(asyncio.get_running_loop().time())
        return went

    went = clock.run(go())
    for start in went:
        assert sum(start <= each < start + 60.0 for each in went) <= 100
    assert went[-1] < 3.1 * 60


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


def test_tokens_under_way_are_taken_for_more_than_their_mean_but_not_for_more_than_can_be() -> None:
    window = TokenWindow(1_000)
    sure = Estimate(100.0, 0.0, 100.0)
    for _ in range(9):
        window.reserve(sure, 0.0)
    assert window.wait(sure, 0.0) == 0.0
    assert window.wait(Estimate(100.0, 400.0, 300.0), 0.0) > 0
    assert window.wait(Estimate(100.0, 400.0, 100.0), 0.0) == 0.0


def test_what_an_answer_took_replaces_what_it_was_taken_for() -> None:
    window, guess = TokenWindow(1_000), Estimate(500.0, 0.0, 500.0)
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
    window, guess = TokenWindow(1_000), Estimate(900.0, 0.0, 900.0)
    charge = window.reserve(guess, 0.0)
    assert window.wait(guess, 61.0) == 0.0
    window.settle(charge, 900.0)
    window.reserve(guess, 61.0)
    assert window.wait(guess, 61.0) > 0


def test_a_request_larger_than_the_limit_goes_alone() -> None:
    window, huge = TokenWindow(1_000), Estimate(5_000.0, 0.0, 5_000.0)
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
