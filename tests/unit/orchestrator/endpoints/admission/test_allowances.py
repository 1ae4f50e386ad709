"""The rest of a limit and its reset, as servers state them in headers."""

import pytest

from orchestrator.endpoints.admission.rate_limits import (
    Allowance,
    seconds,
    until,
)
from tests.unit.orchestrator.endpoints.admission.estimates import NOW


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
