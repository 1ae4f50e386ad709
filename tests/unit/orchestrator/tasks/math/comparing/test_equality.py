import time

import pytest

from orchestrator.tasks.math.comparing.equality import quick
from orchestrator.tasks.math.reading.latex import MAX_ANSWER


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("27.0", "27"),
        ("025", "25"),
        ("½", "0.5"),
        (r"\frac12", "1/2"),
        (r"1\frac{4}{5}", "1.8"),
        ("0.333333", r"\frac{1}{3}"),
        ("3.14159", "3.1416"),
        ("1{,}000", "1000"),
        (r"10\%", "10"),
        ("4210_{5}", "4210_5"),
        ("52", "52_8"),
        (r"\text{evelyn}", "Evelyn"),
        ("C", r"\text{(C)}"),
        ("2,1", "1, 2"),
        ("(1, 0.5)", r"\left(1, \frac12\right)"),
        (r"\{2, 1\}", r"\{1, 2\}"),
        ("5", "x=5"),
        (r"1 \pm 2", "-1,3"),
        (r"(2,\infty)", "x>2"),
        (r"(1,2] \cup [3,4)", r"[3,4) \cup (1,2]"),
    ],
)
def test_plain_equals_are_decided_without_algebra(answer: str, reference: str) -> None:
    assert quick(answer, reference) is True


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("10000", "10001"),
        ("0.333", r"\frac{1}{3}"),
        ("0.0000672", "0.0000673"),
        (r"10\%", "0.1"),
        ("50", "0.5"),
        ("2516_8", "2516_7"),
        ("east", "seat"),
        ("ab", "ba"),
        ("east", "5"),
        ("(1,2)", "(2,1)"),
        ("(1,2)", "[1,2]"),
        ("(3,4)", "(3,4]"),
        (r"\{1,2\}", "(1,2)"),
        ("1,2", "1,2,3"),
        ("1", "1,1"),
        ("1,1,2", "1,2,2"),
        ("", "5"),
        ("", ""),
        (r"\$", r"\%"),
    ],
)
def test_plain_differences_are_decided_without_algebra(answer: str, reference: str) -> None:
    assert quick(answer, reference) is False


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("x+1", "1+x"),
        (r"\sqrt{4}", "2"),
        (r"1 \pm \sqrt{4}", "-1,3"),
        ("1/0", "0/1"),
        ("x y", "y x"),
        (r"(2,\infty)", "2x>4"),
        (r"(1,2] \cup [2,3)", "(1,3)"),
    ],
)
def test_what_needs_algebra_is_left_open(answer: str, reference: str) -> None:
    assert quick(answer, reference) is None


def test_a_factor_of_100_is_accepted_on_request_only() -> None:
    assert quick("50", "0.5", percent=True) is True
    assert quick("0.5", "50", percent=True) is True
    assert quick("5", "0.5", percent=True) is False


def test_an_answer_beyond_the_bound_equals_itself_alone() -> None:
    long = "1+" * MAX_ANSWER
    assert quick(long, long) is True
    assert quick(long + "1", long + "2") is False


@pytest.mark.parametrize(
    "piece",
    ["{", r"\text{", r"\frac{", r"\frac { ", "(1,", "1,", " ", "$", "-1", r"\sqrt", "(", "1"],
)
def test_hostile_answers_are_compared_in_bounded_time_and_depth(piece: str) -> None:
    hostile = (piece * MAX_ANSWER)[: MAX_ANSWER - 1]
    started = time.thread_time()
    quick(hostile + "x", hostile + "y")
    assert time.thread_time() - started < 5
