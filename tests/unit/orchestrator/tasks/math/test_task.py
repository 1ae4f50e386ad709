import asyncio
from functools import partial

import pytest

from orchestrator.core.equivalence import classes
from orchestrator.core.problem import Problem
from orchestrator.tasks.math.task import MathTask

PROBLEM = Problem(id="p", question="?")


class Algebra:
    """In place of the workers: notes what it is asked, answers when it may."""

    def __init__(self, verdict: bool | None = True) -> None:
        self.asked: list[tuple[str, str]] = []
        self.verdict = verdict
        self.endless: set[str] = set()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def same(self, answer: str, reference: str) -> bool | None:
        self.asked.append((answer, reference))
        await self.may_answer.wait()
        if not self.endless.isdisjoint((answer, reference)):
            return None
        return self.verdict


def task_with(algebra: Algebra, **options: int) -> MathTask:
    task = MathTask(**options)
    task._workers = algebra
    return task


async def test_plain_comparisons_start_no_worker() -> None:
    algebra = Algebra()
    task = task_with(algebra)
    assert await task.same(PROBLEM, "0.5", r"\frac12")
    assert not await task.same(PROBLEM, "1", "2")
    assert algebra.asked == []


@pytest.mark.parametrize("verdict", [True, False, None])
async def test_a_verdict_is_the_same_in_either_order(verdict: bool | None) -> None:
    task = task_with(Algebra(verdict=verdict))
    assert await task.same(PROBLEM, "x+1", "1+x") is verdict
    assert await task.same(PROBLEM, "1+x", "x+1") is verdict


async def test_a_verdict_is_kept() -> None:
    algebra = Algebra()
    task = task_with(algebra)
    assert [await task.same(PROBLEM, "x+1", "1+x") for _ in range(3)] == [True] * 3
    assert len(algebra.asked) == 1


async def test_a_comparison_under_way_is_not_begun_again_in_either_order() -> None:
    algebra = Algebra()
    task = task_with(algebra)
    pairs = [("x+1", "1+x"), ("1+x", "x+1")]
    assert (
        await asyncio.gather(*(task.same(PROBLEM, *pairs[i % 2]) for i in range(9))) == [True] * 9
    )
    assert len(algebra.asked) == 1


async def test_whoever_waits_takes_over_from_an_asker_who_is_cancelled() -> None:
    algebra = Algebra()
    algebra.may_answer.clear()
    task = task_with(algebra)
    first, second = (asyncio.create_task(task.same(PROBLEM, "x+1", "1+x")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    algebra.may_answer.set()
    assert await second
    assert len(algebra.asked) == 2


async def test_the_least_recently_used_verdict_goes_first() -> None:
    algebra = Algebra()
    task = task_with(algebra, cache=2)
    for answer in ("x+1", "x+2", "x+1", "x+3", "x+1"):
        await task.same(PROBLEM, answer, "y")
    assert [answer for answer, _ in algebra.asked] == ["x+1", "x+2", "x+3"]


async def test_an_answer_that_never_ends_is_asked_about_once_and_then_stays_undecided() -> None:
    algebra = Algebra(verdict=False)
    algebra.endless = {"9^{9^9}"}
    task = task_with(algebra)
    assert await task.same(PROBLEM, "9^{9^9}", "x+1") is None
    asked = len(algebra.asked)
    assert await task.same(PROBLEM, "9^{9^9}", "x+2") is None
    assert await task.same(PROBLEM, "9^{9^9}", "9^{9^9}")
    assert len(algebra.asked) == asked


async def test_its_partner_is_not_blamed() -> None:
    algebra = Algebra(verdict=True)
    algebra.endless = {"9^{9^9}"}
    task = task_with(algebra)
    await task.same(PROBLEM, "9^{9^9}", "x+1")
    assert await task.same(PROBLEM, "1+x", "x+1")


async def test_classes_are_numbered_as_first_seen_and_skip_leaves_without_an_answer() -> None:
    task = task_with(Algebra(verdict=False))
    found = await classes(
        partial(task.same, PROBLEM), ["1/2", None, "3", "0.5", "3", "x", r"\frac12", None]
    )
    assert found == [0, None, 1, 0, 1, 2, 0, None]


async def test_no_answers_have_no_classes() -> None:
    assert await classes(partial(MathTask().same, PROBLEM), []) == []
    assert await classes(partial(MathTask().same, PROBLEM), [None, None]) == [None, None]
