"""When to try a request again: decided here, carried out by tenacity, and only after a failure."""

import asyncio
import math
import random
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from orchestrator.errors import BadResponse, EndpointUnavailable, TooManyOpenFiles

T = TypeVar("T")

WORTH_RETRYING = (EndpointUnavailable, BadResponse)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Exponential back-off with full jitter; the server's ``Retry-After`` is the least wait, up to
    ``longest_retry_after``: a rate limit that ends later is not waited for, see ``Dispatcher``.

    ``attempts`` counts all tries; waits are in seconds. For ``patience`` seconds an endpoint where
    nothing answers is tried on however often, and those tries do not count: a server that is being
    restarted comes back. The same holds of a rate limit, and goes on as long as it lets others
    through.
    """

    attempts: int = 8
    first_wait: float = 0.25
    longest_wait: float = 30.0
    longest_retry_after: float = 120.0
    patience: float = 0.0

    def wait(self, failed_attempts: int, retry_after: float | None) -> float:
        """Seconds to wait after so many failed attempts."""
        ceiling = min(self.longest_wait, self.first_wait * 2 ** min(failed_attempts - 1, 60))
        jittered = random.uniform(0, ceiling)
        return jittered + min(retry_after or 0.0, self.longest_retry_after)


@dataclass(slots=True)
class RetryBudget:
    """Lets so many requests be retried that retries stay under 20 % of an endpoint's traffic.

    A retry beyond that waits for more traffic, not for ever: one a second goes whatever else does,
    so that the last requests of a run come to an end. ``most`` is what a quiet time saves up: about
    what one replica that dies leaves behind.
    """

    share: float = 0.25  # of first tries: 20 % of all
    most: float = 1_000.0
    spent: int = 0
    _left: float = 10.0
    _waiting: deque[asyncio.Future[None]] = field(default_factory=deque)
    _timer: asyncio.TimerHandle | None = None

    def first_try(self) -> None:
        """A request goes out for the first time."""
        if self._left < self.most:
            self._left += self.share
        if self._waiting:
            self._let_go()

    def try_take(self) -> bool:
        """One more request at once, if the budget has it."""
        if self._left < 1.0 or self._waiting:
            return False
        self._left -= 1.0
        self.spent += 1
        return True

    async def take(self) -> None:
        """Wait until a retry may go."""
        if self.try_take():
            return
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append(turn)
        if self._timer is None:
            self._timer = loop.call_later(1.0, self._a_second_passed)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # let go as it was cancelled
                self._left += 1.0
                self.spent -= 1
                self._let_go()
            raise

    def _let_go(self) -> None:
        while self._left >= 1.0 and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                self._left -= 1.0
                self.spent += 1
                turn.set_result(None)

    def _a_second_passed(self) -> None:
        self._timer = None
        self._left = max(1.0, self._left)
        self._let_go()
        if self._waiting:
            self._timer = asyncio.get_running_loop().call_later(1.0, self._a_second_passed)


async def with_retries(
    attempt: Callable[[], Awaitable[T]],
    policy: RetryPolicy,
    budget: RetryBudget | None = None,
    answered_at: Callable[[], float] = lambda: -math.inf,
) -> T:
    """Run ``attempt`` until it succeeds or ``policy`` gives up, and then raise its last error.
    ``answered_at`` is when the endpoint answered a request last, by the event loop's time.

    A failure that is doubtful is tried again soon and outside the ``budget``; whoever marks it so
    bounds how often. The first try runs bare: entering tenacity takes 16 us of CPU, a quarter of
    what a whole step takes the client.
    """
    if budget is not None:
        budget.first_try()
    try:
        return await attempt()
    except WORTH_RETRYING as failure:
        if not _is_worth_it(failure) or (policy.attempts <= 1 and not policy.patience):
            raise
        first = failure
    loop = asyncio.get_running_loop()
    began = loop.time()

    last: EndpointUnavailable | BadResponse = first

    def pause(failed_attempts: int) -> float:
        retry_after = getattr(last, "retry_after", None)
        return policy.wait(1 if _is_free(last) else failed_attempts, retry_after)

    counted = 0 if policy.patience and _may_pass(first) else 1

    def enough(state: RetryCallState) -> bool:
        nonlocal counted
        since = max(began, answered_at()) if getattr(last, "status", None) == 429 else began
        is_patient = loop.time() - since < policy.patience
        counted += not (is_patient and _may_pass(last))
        return counted >= policy.attempts

    async def again() -> T:
        nonlocal last
        if budget is not None and not _is_free(last):
            await budget.take()
        try:
            return await attempt()
        except WORTH_RETRYING as failure:
            last = failure
            raise

    retrying = AsyncRetrying(
        stop=enough,
        wait=lambda state: pause(state.attempt_number + 1),
        retry=retry_if_exception(_is_worth_it),
        reraise=True,
    )
    await asyncio.sleep(pause(1))
    return await retrying(again)


def _is_worth_it(error: BaseException) -> bool:
    return isinstance(error, WORTH_RETRYING) and not error.is_final


def _is_free(error: EndpointUnavailable | BadResponse) -> bool:
    """Whether trying again is no burden to a server in trouble."""
    return error.is_doubtful or isinstance(error, TooManyOpenFiles)


def _may_pass(error: EndpointUnavailable | BadResponse) -> bool:
    """Whether it says that nobody is there, or has time, rather than what an answer was."""
    return isinstance(error, EndpointUnavailable) and (not error.answered or error.status == 429)
