import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.core.budget import Limits
from orchestrator.core.records import Record
from orchestrator.errors import BudgetExhausted, EndpointUnavailable, RateLimited
from orchestrator.runs.course import FAILURES_IN_A_ROW, Course, effect
from orchestrator.runs.endings import STOPPED

Make = Callable[..., Record]
LOST = {"ran_out": "endpoint", "error": "nothing answers"}


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, "done"),
        ({"ran_out": "tokens"}, "done"),
        ({"ran_out": "pool"}, "done"),
        ({"error": STOPPED}, "stopped"),
        ({"ran_out": "rate limit", "error": "tomorrow"}, "rate limited"),
        ({"ran_out": "seconds", "error": "the run's time was up"}, "over budget"),
        ({"ran_out": "cost", "error": "the run budget of $1 is used up"}, "over budget"),
        (LOST, "endpoint lost"),
        ({"ran_out": "answers", "error": "an HTML page"}, "answers lost"),
    ],
)
def test_how_a_tree_ended_says_what_that_means_for_its_run(
    make_record: Make, changes: dict[str, Any], found: str
) -> None:
    assert effect(make_record(**changes)) == found


@pytest.fixture
def course() -> Course:
    return Course(Limits(tokens=5, requests=3), "run")


def test_trees_that_end_on_their_own_end_no_run(course: Course, make_record: Make) -> None:
    for changes in ({}, {"ran_out": "tokens"}, {"ran_out": "answers", "error": "an HTML page"}):
        course.observe(make_record(**changes))
    assert course.end is None


def test_a_run_whose_budget_is_used_up_says_how_much_that_was(
    course: Course, make_record: Make
) -> None:
    course.observe(make_record(ran_out="requests", error="the run budget is used up"))
    assert isinstance(course.end, BudgetExhausted)
    assert (course.end.limit, course.end.allowed, course.end.scope) == ("requests", 3, "run")


def test_a_providers_limit_is_the_reason_whatever_else_runs_out(
    course: Course, make_record: Make
) -> None:
    exhausted = make_record(ran_out="tokens", error="the run budget is used up")
    for record in (exhausted, make_record(ran_out="rate limit", error="tomorrow"), exhausted):
        course.observe(record)
    assert isinstance(course.end, RateLimited) and str(course.end) == "tomorrow"


def test_trees_that_lose_their_endpoint_in_a_row_end_the_run(
    course: Course, make_record: Make
) -> None:
    lost = make_record(**LOST)
    for _ in range(FAILURES_IN_A_ROW - 1):
        course.observe(lost)
    course.observe(make_record())  # it is back
    for _ in range(FAILURES_IN_A_ROW - 1):
        course.observe(lost)
    course.observe(make_record(ran_out="answers", error="an HTML page"))  # which it gave
    with pytest.raises(EndpointUnavailable, match=r"8 trees in a row .*: nothing answers"):
        course.observe(lost)


def test_a_stopped_run_is_cancelled(course: Course, make_record: Make) -> None:
    with pytest.raises(asyncio.CancelledError):
        course.observe(make_record(error=STOPPED))
