import asyncio
import threading
import time

import pytest

from servers.simulated import clock


def test_time_jumps_to_the_next_timer() -> None:
    async def main() -> list[float]:
        loop, seen = asyncio.get_running_loop(), []
        for pause in (0.5, 3600.0, 86_400.0 * 365):
            await asyncio.sleep(pause)
            seen.append(loop.time())
        return seen

    began = time.monotonic()
    assert clock.run(main()) == pytest.approx([0.5, 3600.5, 3600.5 + 86_400.0 * 365])
    assert time.monotonic() - began < 60


def test_timers_fire_in_their_order_and_at_their_instants() -> None:
    async def main() -> list[tuple[str, float]]:
        loop, fired = asyncio.get_running_loop(), []

        async def after(name: str, seconds: float) -> None:
            await asyncio.sleep(seconds)
            fired.append((name, loop.time()))

        async with asyncio.TaskGroup() as group:
            for name, seconds in (("c", 3.0), ("a", 1.0), ("b", 2.0)):
                group.create_task(after(name, seconds))
        return fired

    assert clock.run(main()) == [("a", 1.0), ("b", 2.0), ("c", 3.0)]


def test_a_timeout_is_in_virtual_time() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(600):
                await asyncio.get_running_loop().create_future()
        return asyncio.get_running_loop().time()

    assert clock.run(main()) == pytest.approx(600)


def test_time_stands_still_while_a_thread_of_the_executor_works() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        clock_ticks = loop.create_task(asyncio.sleep(1000))
        await asyncio.to_thread(time.sleep, 0.05)
        instant = loop.time()
        clock_ticks.cancel()
        return instant

    assert clock.run(main()) == 0.0


def test_an_executor_call_that_is_cancelled_no_longer_holds_time() -> None:
    async def main() -> float:
        gate = threading.Event()
        call = asyncio.ensure_future(asyncio.to_thread(gate.wait, 60))
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.sleep(5)
        gate.set()
        return asyncio.get_running_loop().time()

    assert clock.run(main()) == pytest.approx(5)


def test_what_a_thread_of_ones_own_reports_is_waited_for_where_no_timer_is_left() -> None:
    async def main() -> str:
        loop = asyncio.get_running_loop()
        told: asyncio.Future[str] = loop.create_future()
        thread = threading.Timer(0.05, loop.call_soon_threadsafe, (told.set_result, "told"))
        thread.start()
        return await told

    assert clock.run(main()) == "told"
