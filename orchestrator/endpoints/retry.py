"""When to try a request again: decided here, carried out by tenacity, and only after a failure."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from orchestrator.errors import BadResponse, EndpointUnavailable

T = TypeVar("T")

WORTH_RETRYING = (EndpointUnavailable, BadResponse)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Exponential back-off with full jitter; the server's ``Retry-After`` is the least wait,
    as far as it is reasonable.

    ``attempts`` counts all tries; waits are in seconds. For ``patience`` seconds an endpoint where
    nothing answers is tried on however often: a server that is being restarted comes back.
    """

    attempts: int = 8
    first_wait: float = 0.25
    longest_wait: float = 30.0
    longest_retry_after: float = 120.0
    patience: float = 0.0

    def wait(self, failed_attempts: int, retry_after: float | None) -> float:
        """Seconds to wait after so many failed attempts."""
        ceiling = min(self.longest_wait, self.first_wait * 2 ** (failed_attempts - 1))
        jittered = random.uniform(0, ceiling)
        return jittered + min(retry_after or 0.0, self.longest_retry_after)


async def with_retries(attempt: Callable[[], Awaitable[T]], policy: RetryPolicy) -> T:
    """Run ``attempt`` until it succeeds or ``policy`` gives up, and then raise its last error.

    The first try runs bare: entering tenacity costs more CPU than sending the request.
    """
    try:
        return await attempt()
    except WORTH_RETRYING as failure:
        if policy.attempts <= 1:
            raise
        first = failure

    def pause(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        return policy.wait(state.attempt_number + 1, getattr(error, "retry_after", None))

    def enough(state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        gone = isinstance(error, EndpointUnavailable) and not error.answered
        patient = gone and (state.seconds_since_start or 0.0) < policy.patience
        return state.attempt_number >= policy.attempts - 1 and not patient

    retrying = AsyncRetrying(
        stop=enough,
        wait=pause,
        retry=retry_if_exception_type(WORTH_RETRYING),
        reraise=True,
    )
    await retrying.sleep(policy.wait(1, getattr(first, "retry_after", None)))  # type: ignore[misc]
    return await retrying(attempt)
