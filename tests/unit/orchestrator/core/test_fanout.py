import asyncio

import pytest

from orchestrator.core.fanout import fan_out


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
