import asyncio

import pytest

from orchestrator.endpoints.transport.hedging import Stragglers, hedged
from orchestrator.errors import EndpointUnavailable
from servers.simulated import clock

GONE = EndpointUnavailable("gone", url="")


async def answer(text: str, seconds: float, error: Exception | None = None) -> str:
    await asyncio.sleep(seconds)
    if error is not None:
        raise error
    return text


def race(first: tuple[float, Exception | None], again: tuple[float, Exception | None] | None):  # type: ignore[no-untyped-def]
    """What comes of it, when, and whether a second request was sent after 10 s."""

    async def go() -> tuple[str, float, bool]:
        sent = []

        def second():  # type: ignore[no-untyped-def]
            sent.append(True)
            return answer("again", *again) if again is not None else None

        said = await hedged(answer("first", *first), second, 10.0)
        assert len(asyncio.all_tasks()) == 1
        return said, asyncio.get_running_loop().time(), bool(sent)

    return clock.run(go())


def test_a_request_in_time_is_sent_once() -> None:
    assert race((9.0, None), (1.0, None)) == ("first", 9.0, False)


def test_a_straggler_is_sent_again_and_the_first_answer_counts() -> None:
    assert race((60.0, None), (2.0, None)) == ("again", 12.0, True)
    assert race((11.0, None), (20.0, None)) == ("first", 11.0, True)


def test_one_of_the_two_may_fail() -> None:
    assert race((12.0, GONE), (5.0, None)) == ("again", 15.0, True)
    assert race((12.0, None), (1.0, GONE)) == ("first", 12.0, True)


def test_where_both_fail_it_is_the_first_ones_error() -> None:
    with pytest.raises(EndpointUnavailable, match="gone"):
        race((12.0, GONE), (1.0, ValueError("the other")))
    with pytest.raises(EndpointUnavailable, match="gone"):
        race((1.0, GONE), None)


def test_the_second_request_may_be_declined() -> None:
    assert race((60.0, None), None) == ("first", 60.0, True)


def test_cancelling_ends_both() -> None:
    async def go() -> int:
        task = asyncio.create_task(hedged(answer("a", 99.0), lambda: answer("b", 99.0), 10.0))
        await asyncio.sleep(20.0)
        assert len(asyncio.all_tasks()) == 4
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return len(asyncio.all_tasks())

    assert clock.run(go()) == 1


def test_a_straggler_is_what_takes_longer_than_most() -> None:
    stragglers = Stragglers(percentile=90.0)
    assert stragglers.after is None
    for i in range(100):
        stragglers.record(float(i))
    assert stragglers.after == 90.0


@pytest.mark.parametrize("again", [None, (1.0, GONE), (90.0, None)])
@pytest.mark.parametrize("error", [None, GONE])
def test_whoever_is_cancelled_as_an_answer_comes_is_cancelled(
    again: tuple[float, Exception | None] | None, error: Exception | None
) -> None:
    async def go() -> bool:
        second = (lambda: answer("again", *again)) if again else (lambda: None)
        task = asyncio.create_task(hedged(answer("first", 60.0, error), second, 10.0))
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_at(60.0, task.cancel)
        await asyncio.wait([task])
        assert len(asyncio.all_tasks()) == 1
        return task.cancelled()

    assert clock.run(go())


def test_a_straggler_is_told_from_twenty_answers_on_and_anew_every_twenty() -> None:
    stragglers = Stragglers()
    for i in range(19):
        stragglers.record(float(i))
    assert stragglers.after is None
    stragglers.record(19.0)
    assert stragglers.after == 19.0
    for _ in range(19):
        stragglers.record(0.0)
    assert stragglers.after == 19.0
    stragglers.record(0.0)
    assert stragglers.after == 18.0


def test_the_highest_percentile_is_the_longest_of_all() -> None:
    stragglers = Stragglers(percentile=100.0)
    for i in range(20):
        stragglers.record(float(i))
    assert stragglers.after == 19.0


def test_long_ago_counts_no_more() -> None:
    stragglers = Stragglers()
    for seconds in (*[9.0] * 600, *[1.0] * 520):
        stragglers.record(seconds)
    assert stragglers.after == 1.0
