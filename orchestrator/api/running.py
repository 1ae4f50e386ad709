"""``orchard.run``: from plain code into the event loop."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """``asyncio.run`` on uvloop, the event loop of the command line.

    Raises ``RuntimeError`` where a loop is running already, as in a notebook: ``await`` there.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        import uvloop

        return uvloop.run(main)
    main.close()
    raise RuntimeError(
        "an event loop is running already, as in a notebook: write `await …` instead of "
        "`orchard.run(…)`"
    )
