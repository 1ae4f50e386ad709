import asyncio

import pytest

from orchestrator.core.fanout import fan_out, feed


async def test_results_come_in_order_whoever_finishes_first() -> None:
    gates = [asyncio.Event() for _ in range(3)]

    async def wait(index: int) -> int:
        if index < 2:
            await gates[index + 1].wait()
        gates[index].set()
        return index

    assert await fan_out(wait(i) for i in range(3)) == [0, 1, 2]


async def test_nothing_to_run_gives_nothing() -> None:
    assert await fan_out([]) == []


@pytest.mark.parametrize("count", [1, 5])
async def test_a_failure_is_raised_by_itself(count: int) -> None:
    async def fail() -> None:
        raise KeyError("why")

    with pytest.raises(KeyError, match="why"):
        await fan_out(fail() for _ in range(count))


async def test_a_failure_cancels_the_siblings_and_waits_for_them_to_clean_up() -> None:
    cleaned = []
    started = asyncio.Event()

    async def hold() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)

    async def fail() -> None:
        await started.wait()
        raise ValueError

    with pytest.raises(ValueError):
        await fan_out([hold(), hold(), fail()])
    assert cleaned == [True, True]


async def test_the_first_cause_is_found_below_nested_groups() -> None:
    async def fail() -> None:
        raise LookupError("the cause")

    async def suffer() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise RuntimeError("an effect")

    async def nested() -> list[None]:
        return await fan_out([fail(), suffer()])

    with pytest.raises(LookupError, match="the cause"):
        await fan_out([nested(), suffer()])


@pytest.mark.parametrize("count", [1, 3])
async def test_cancellation_reaches_every_task_and_comes_back(count: int) -> None:
    cancelled = []

    async def hold() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.002):
            await fan_out(hold() for _ in range(count))
    assert len(cancelled) == count
    assert len(asyncio.all_tasks()) == 1


async def _fail_after_cleaning_up(turns: int) -> None:
    """Fails when it is cancelled, so many turns of the loop later."""
    try:
        await asyncio.Event().wait()
    finally:
        for _ in range(turns):
            await asyncio.sleep(0)
        raise LookupError("an effect")


async def _fail_at(gate: asyncio.Event) -> None:
    await gate.wait()
    raise LookupError("a cause")


@pytest.mark.parametrize("turns", range(6))
@pytest.mark.parametrize("cancelled_first", [True, False])
async def test_whoever_is_cancelled_gets_the_cancellation_whatever_fails_meanwhile(
    turns: int, cancelled_first: bool
) -> None:
    gate = asyncio.Event()
    work = [_fail_at(gate), _fail_after_cleaning_up(turns), _fail_after_cleaning_up(0)]
    task = asyncio.create_task(fan_out(work))
    await asyncio.sleep(0.001)
    if cancelled_first:
        task.cancel()
        gate.set()
    else:
        gate.set()
        for _ in range(min(turns, 2)):  # also while the others still clean up
            await asyncio.sleep(0)
        task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_a_failure_leaves_no_cancellation_behind_that_a_later_timeout_takes_for_its_own() -> (
    None
):
    async def fail() -> None:
        await asyncio.sleep(0.001)
        raise LookupError("a cause")

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            with pytest.raises(LookupError):
                await fan_out([fail(), asyncio.sleep(1.0)])
            with pytest.raises(LookupError):
                await feed(range(3), lambda item: fail(), asyncio.Semaphore(2))
            await asyncio.sleep(1.0)


@pytest.mark.parametrize("turns", range(3))
async def test_time_that_is_up_is_seen_though_a_request_fails_in_the_same_turn(turns: int) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await fan_out(_fail_after_cleaning_up(turns) for _ in range(3))


async def test_a_feed_that_is_cancelled_gets_the_cancellation_too() -> None:
    async def work(item: int) -> None:
        await _fail_after_cleaning_up(item)

    task = asyncio.create_task(feed(range(3), work, asyncio.Semaphore(2)))
    await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_a_cancellation_from_before_hides_no_failure() -> None:
    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            gate = asyncio.Event()
            gate.set()
            await fan_out([_fail_at(gate), _fail_at(gate)])

    task = asyncio.create_task(work())
    await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(LookupError, match="a cause"):
        await task
