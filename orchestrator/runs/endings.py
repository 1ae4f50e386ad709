"""Why a tree ends before its search does, and whether a later start goes on with it."""

import asyncio
from dataclasses import dataclass

from orchestrator.core.records import BAD_ANSWERS, ENDPOINT, POOL, RATE_LIMIT
from orchestrator.errors import (
    BadResponse,
    BudgetExhausted,
    EndpointError,
    EndpointRefused,
    RateLimited,
)
from orchestrator.runs.clock import TreeClock

STOPPED = "the run was stopped"
"""The error of a tree that was waiting for its turn when the run was stopped."""


@dataclass(frozen=True, slots=True)
class Ending:
    """``ran_out`` names the limit that ended the tree, None where none did. With an ``error`` the
    tree counts as failed, and the run's next start goes on with it."""

    ran_out: str | None = None
    error: str | None = None


COMPLETE = Ending()
"""The search came to its own end."""


def ending(cause: BaseException, clock: TreeClock, run: str) -> Ending | None:
    """How ``cause`` ends a tree within the ledger ``run``; None where it ends more than the tree
    and must pass."""
    match cause:
        case TimeoutError() if clock.has_expired:
            if clock.is_the_runs:
                return Ending("seconds", "the run's time was up")
            return Ending(POOL if clock.is_the_pools else "seconds")
        case BudgetExhausted():  # a larger budget for the run may finish this tree
            return Ending(cause.limit, str(cause) if cause.scope == run else None)
        case asyncio.CancelledError() if clock.has_waited:
            return Ending(error=STOPPED)
        case EndpointRefused():
            return None
        case RateLimited():
            return Ending(RATE_LIMIT, str(cause))
        case BadResponse() if cause.is_alone:
            return Ending(BAD_ANSWERS, str(cause))
        case EndpointError():
            return Ending(ENDPOINT, str(cause))
    return None
