import asyncio
from contextlib import suppress

import pytest

from orchestrator.errors import (
    BadResponse,
    BudgetExhausted,
    EndpointRefused,
    EndpointUnavailable,
    RateLimited,
)
from orchestrator.runs.clock import TreeClock
from orchestrator.runs.endings import STOPPED, Ending, ending

GONE = EndpointUnavailable("nothing answers", url="")
SPENT = BudgetExhausted("tokens", 5, "run")
HTML = BadResponse("an HTML page", url="")
HTML_AGAIN = BadResponse("an HTML page", url="", is_final=True)


@pytest.mark.parametrize(
    ("cause", "found"),
    [
        (BudgetExhausted("tokens", 5, "problem"), Ending("tokens")),
        (SPENT, Ending("tokens", "the run budget of 5 tokens is used up")),
        (RateLimited("come back tomorrow", url=""), Ending("rate limit", "come back tomorrow")),
        (GONE, Ending("endpoint", "nothing answers")),
        (HTML, Ending("endpoint", "an HTML page")),
        (HTML_AGAIN, Ending("answers", "an HTML page")),
        (EndpointRefused("wrong key", url=""), None),
        (TimeoutError(), None),
        (asyncio.CancelledError(), None),
        (ValueError(), None),
    ],
)  # fmt: skip
async def test_what_ends_a_tree_says_what_ran_out_and_whether_the_next_start_goes_on(
    cause: BaseException, found: Ending | None
) -> None:
    assert ending(cause, TreeClock(float("inf"), None), "run") == found


@pytest.mark.parametrize(
    ("run", "pool", "own", "found"),
    [
        (0.0, 9.0, None, Ending("seconds", "the run's time was up")),
        (9.0, 0.0, None, Ending("pool")),
        (9.0, 9.0, 0.0, Ending("seconds")),
    ],
)
async def test_whose_time_was_up_decides_whether_the_next_start_goes_on(
    run: float, pool: float, own: float | None, found: Ending
) -> None:
    now = asyncio.get_running_loop().time()
    clock = TreeClock(now + run, own, until=now + pool)
    with suppress(TimeoutError):
        async with clock.running():
            await asyncio.sleep(1)
    assert ending(TimeoutError(), clock, "run") == found


async def test_a_tree_that_waited_for_its_turn_in_a_pool_is_stopped_and_not_lost() -> None:
    slots = asyncio.Semaphore(0)
    clock = TreeClock(float("inf"), None, slots=slots)
    async with clock.running(), clock.aside():
        pass
    assert ending(asyncio.CancelledError(), clock, "run") == Ending(error=STOPPED)
