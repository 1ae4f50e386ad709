import asyncio

import pytest

from orchestrator import testing


def test_an_hour_of_waiting_passes_at_once_and_ends_at_its_very_instant() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3600):
                await asyncio.get_running_loop().create_future()
        return asyncio.get_running_loop().time()

    assert testing.run_in_virtual_time(main()) == pytest.approx(3600)
