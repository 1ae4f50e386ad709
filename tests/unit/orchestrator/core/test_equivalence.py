"""Classes of answers: chains of equal ones, whoever came first."""

import asyncio
import itertools

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.equivalence import Answers, classes, components

ANSWERS = st.lists(st.none() | st.integers(0, 12).map(str), max_size=9)


class Near:
    """Calls numbers equal that are at most ``tolerance`` apart, and counts how often it is asked;
    ``pause`` lets other readers in between."""

    def __init__(self, tolerance: float = 0.0, *, pause: bool = False) -> None:
        self.tolerance = tolerance
        self.asked: list[tuple[str, str]] = []
        self._pause = pause

    async def __call__(self, answer: str, reference: str) -> bool | None:
        self.asked.append((answer, reference))
        if self._pause:
            await asyncio.sleep(0)
        return abs(float(answer) - float(reference)) <= self.tolerance


def partition(answers: list[str | None], found: list[int | None]) -> set[frozenset[str]]:
    groups: dict[int, set[str]] = {}
    for answer, number in zip(answers, found, strict=True):
        if answer is not None and number is not None:
            groups.setdefault(number, set()).add(answer)
    return {frozenset(group) for group in groups.values()}


async def test_equal_answers_share_a_class_numbered_as_first_seen() -> None:
    answers = ["0.5", "2", "0.50", None, "2.0", "7", "0.5"]
    assert await classes(Near(), answers) == [0, 1, 0, None, 1, 2, 0]


async def test_no_answer_belongs_to_no_class() -> None:
    assert await classes(Near(), [None, None]) == [None, None]
    assert await classes(Near(), []) == []


async def test_near_answers_are_one_class_where_others_lead_from_one_to_the_other() -> None:
    for order in itertools.permutations(["3.0", "3.4", "3.8", "9.0"]):
        found = await classes(Near(0.5), list(order))
        assert partition(list(order), found) == {
            frozenset({"3.0", "3.4", "3.8"}),
            frozenset({"9.0"}),
        }
    assert await classes(Near(0.5), ["3.0", "3.8"]) == [0, 1]


async def test_what_is_not_decided_joins_nobody() -> None:
    class Undecided(Near):
        async def __call__(self, answer: str, reference: str) -> bool | None:
            return None

    assert await classes(Undecided(), ["1", "1.0", "1"]) == [0, 1, 0]


async def test_a_task_that_goes_by_the_order_of_two_answers_is_asked_in_one_order() -> None:
    class FirstIsLonger(Near):
        async def __call__(self, answer: str, reference: str) -> bool | None:
            return len(answer) > len(reference)

    partitions = {
        frozenset(partition(list(order), await classes(FirstIsLonger(), list(order))))
        for order in itertools.permutations(["21", "3", "1", "20"])
    }
    assert len(partitions) == 1


async def test_each_pair_of_distinct_answers_is_compared_once() -> None:
    same = Near()
    await classes(same, ["1", "1.0", "1", "2", "1.00", "2", "1.0"])
    asked = {frozenset(pair) for pair in same.asked}
    assert len(same.asked) == len(asked) == 6


async def test_an_answer_that_comes_later_joins_two_that_were_read_before() -> None:
    answers = Answers(Near(0.5))
    first, second = await answers.read("3.0"), await answers.read("3.8")
    assert components([first, second]) == [0, 1]
    third = await answers.read("3.4")
    assert components([first, second, third]) == [0, 0, 0]
    assert components([first, second]) == [0, 1]  # among themselves they are still two


async def test_answers_that_are_read_at_the_same_time_know_each_other() -> None:
    texts = ["3.0", "3.8", "3.4", "9.0", "3.0", "9.4"]
    answers = Answers(Near(0.5, pause=True))
    read = await asyncio.gather(*(answers.read(text) for text in texts))
    assert components(read) == [0, 0, 0, 1, 0, 1]


@given(ANSWERS, st.integers(0, 3), st.data())
async def test_no_order_makes_other_classes(
    answers: list[str | None], tolerance: int, data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(answers))))
    other = [answers[i] for i in order]
    found, again = await classes(Near(tolerance), answers), await classes(Near(tolerance), other)
    assert partition(answers, found) == partition(other, again)


@given(ANSWERS, st.integers(0, 3))
async def test_saying_an_answer_again_makes_no_other_classes(
    answers: list[str | None], tolerance: int
) -> None:
    found = await classes(Near(tolerance), [*answers, *answers])
    assert found == [*await classes(Near(tolerance), answers)] * 2


@given(ANSWERS, st.integers(0, 3), st.data())
async def test_one_after_the_other_is_as_all_at_once(
    answers: list[str | None], tolerance: int, data: st.DataObject
) -> None:
    """Whatever others are read besides, and before."""
    seen = Answers(Near(tolerance))
    for text in data.draw(ANSWERS):
        await seen.read(text)
    read = []
    for i, text in enumerate(answers):
        read.append(await seen.read(text))
        assert components(read) == await classes(Near(tolerance), answers[: i + 1])
