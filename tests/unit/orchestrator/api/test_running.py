import asyncio

import pytest
import uvloop

import orchestrator as orchard


def test_run_returns_what_the_coroutine_returns_on_the_event_loop_of_the_command_line() -> None:
    async def main() -> type:
        return type(asyncio.get_running_loop())

    assert orchard.run(main()) is uvloop.Loop


async def test_where_a_loop_is_running_as_in_a_notebook_it_says_to_await() -> None:
    with pytest.raises(RuntimeError, match="write `await …`"):
        orchard.run(asyncio.sleep(0))
