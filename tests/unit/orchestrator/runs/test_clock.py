"""The time of one tree."""

import asyncio
import math

import pytest

from orchestrator.runs.clock import TreeClock
from servers.simulated import clock


def test_a_tree_has_the_least_of_its_own_time_its_pools_and_its_runs() -> None:
    async def go() -> list[tuple[float, bool]]:
        await asyncio.sleep(10.0)
        clocks = [
            TreeClock(100.0, None), TreeClock(100.0, 20.0), TreeClock(100.0, 20.0, until=25.0),
            TreeClock(math.inf, None), TreeClock(30.0, 20.0),
        ]  # fmt: skip
        return [(each.deadline, each.is_the_runs) for each in clocks]

    assert clock.run(go()) == [
        (100.0, True), (30.0, False), (25.0, False), (math.inf, True), (30.0, True),
    ]  # fmt: skip


@pytest.mark.parametrize(("until", "is_the_pools"), [(15.0, True), (40.0, False)])
def test_whose_time_was_up_is_known(until: float, is_the_pools: bool) -> None:
    async def go() -> TreeClock:
        tree = TreeClock(100.0, 20.0, until=until)
        assert not tree.has_expired and not tree.is_the_pools
        with pytest.raises(TimeoutError):
            async with tree.running():
                await asyncio.sleep(1_000.0)
        assert asyncio.get_running_loop().time() == min(until, 20.0) == tree.worked
        return tree

    tree = clock.run(go())
    assert tree.has_expired and tree.is_the_pools is is_the_pools


def test_while_a_tree_waits_its_clock_stands_still_and_its_slot_is_anothers() -> None:
    async def go() -> None:
        slots, loop = asyncio.Semaphore(1), asyncio.get_running_loop()
        await slots.acquire()
        tree = TreeClock(math.inf, 20.0, slots=slots)
        with pytest.raises(TimeoutError):
            async with tree.running():
                await asyncio.sleep(5.0)
                assert not tree.has_waited
                async with tree.aside():
                    assert not slots.locked()
                    await asyncio.sleep(100.0)
                    assert tree.worked == 5.0
                assert slots.locked() and tree.has_waited
                assert (tree.worked, tree.deadline) == (5.0, 120.0)
                await asyncio.sleep(1_000.0)
        assert (loop.time(), tree.worked) == (120.0, 20.0)

    clock.run(go())
