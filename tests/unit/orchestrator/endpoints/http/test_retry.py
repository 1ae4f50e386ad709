import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.endpoints.http import retry
from orchestrator.endpoints.http.retry import RetryBudget, RetryPolicy, with_retries
from orchestrator.errors import (
    BadResponse,
    ContextOverflow,
    EndpointError,
    EndpointRefused,
    EndpointUnavailable,
)
from servers.simulated import clock

AT_ONCE = RetryPolicy(attempts=4, first_wait=0.0, longest_wait=0.0)
GONE = EndpointUnavailable("gone", url="")


class Attempt:
    """Fails with each of ``failures`` in turn, then succeeds."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.count = 0

    async def __call__(self) -> str:
        self.count += 1
        if self.failures:
            raise self.failures.pop(0)
        return "done"


@given(st.integers(1, 60))
def test_the_wait_doubles_up_to_the_longest_and_is_jittered_from_zero(failed: int) -> None:
    policy = RetryPolicy(first_wait=0.25, longest_wait=30.0)
    assert 0 <= policy.wait(failed, None) <= min(30.0, 0.25 * 2 ** (failed - 1))


@given(st.integers(1, 20), st.floats(0, 100))
def test_the_servers_wish_is_the_least_wait(failed: int, wish: float) -> None:
    assert wish <= RetryPolicy().wait(failed, wish) <= wish + 30.0


async def test_a_success_never_enters_tenacity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "AsyncRetrying", None)
    assert await with_retries(Attempt(), RetryPolicy()) == "done"


@pytest.mark.parametrize("error", [GONE, BadResponse("HTML", url="")])
async def test_what_may_pass_is_tried_again(error: EndpointError) -> None:
    attempt = Attempt(error, error, error)
    assert await with_retries(attempt, AT_ONCE) == "done"
    assert attempt.count == 4


@pytest.mark.parametrize("attempts", [1, 2, 5])
async def test_after_so_many_attempts_the_last_error_is_raised(attempts: int) -> None:
    errors = [EndpointUnavailable(f"failure {i}", url="") for i in range(1, 9)]
    attempt = Attempt(*errors)
    policy = RetryPolicy(attempts=attempts, first_wait=0.0, longest_wait=0.0)
    with pytest.raises(EndpointUnavailable, match=f"failure {attempts}"):
        await with_retries(attempt, policy)
    assert attempt.count == attempts


@pytest.mark.parametrize(
    "error",
    [EndpointRefused("no", url=""), ContextOverflow("long", url=""), ValueError("a bug")],
)
@pytest.mark.parametrize("before", [(), (GONE, GONE)])
async def test_what_cannot_pass_is_raised_at_once(
    error: Exception, before: tuple[Exception, ...]
) -> None:
    attempt = Attempt(*before, error)
    with pytest.raises(type(error)):
        await with_retries(attempt, AT_ONCE)
    assert attempt.count == len(before) + 1


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of each wait, which takes none and is as long as it may be."""
    found: list[float] = []

    async def note(seconds: float) -> None:
        found.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", note)
    monkeypatch.setattr(retry.random, "uniform", lambda low, high: high)
    return found


async def test_it_waits_as_its_policy_says_for_each_failure(waited: list[float]) -> None:
    wishes = [EndpointUnavailable("busy", url="", retry_after=wish) for wish in (None, 7.0, None)]
    assert await with_retries(Attempt(*wishes), RetryPolicy(first_wait=1.0)) == "done"
    assert waited == [1.0, 9.0, 4.0]


async def test_patience_outlasts_the_attempts_where_nothing_answers() -> None:
    gone = [EndpointUnavailable(f"gone {i}", url="") for i in range(20)]
    attempt = Attempt(*gone)
    patient = RetryPolicy(attempts=2, first_wait=0.0, longest_wait=0.0, patience=30.0)
    assert await with_retries(attempt, patient) == "done"
    assert attempt.count == 21


async def test_patience_is_for_silence_not_for_answers() -> None:
    busy = EndpointUnavailable("503", url="", answered=True)
    patient = RetryPolicy(attempts=3, first_wait=0.0, longest_wait=0.0, patience=30.0)
    for error in (busy, BadResponse("HTML", url="")):
        attempt = Attempt(*[error] * 9)
        with pytest.raises(type(error)):
            await with_retries(attempt, patient)
        assert attempt.count == 3


async def test_silence_uses_up_no_attempts_while_there_is_patience() -> None:
    failed = EndpointUnavailable("500", url="", answered=True, status=500)
    patient = RetryPolicy(attempts=3, first_wait=0.0, longest_wait=0.0, patience=30.0)
    for twice in ([failed, *[GONE] * 20, failed], [GONE] * 20 + [failed] * 2):
        assert await with_retries(Attempt(*twice), patient) == "done"
        attempt = Attempt(*twice, failed, failed)
        with pytest.raises(EndpointUnavailable, match="500"):
            await with_retries(attempt, patient)
        assert attempt.count == len(twice) + 1


async def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    impatient = RetryPolicy(attempts=2, first_wait=0.02, longest_wait=0.02, patience=0.05)
    monkeypatch.setattr(retry.random, "uniform", lambda low, high: high)
    attempt = Attempt(*[GONE] * 50)
    with pytest.raises(EndpointUnavailable):
        await with_retries(attempt, impatient)
    assert 3 <= attempt.count <= 6


async def test_an_endpoint_that_was_waited_for_is_not_tried_again() -> None:
    attempt = Attempt(EndpointUnavailable("down for 120 s", url="", is_final=True))
    with pytest.raises(EndpointUnavailable, match="down for 120 s"):
        await with_retries(attempt, RetryPolicy(patience=600.0))
    assert attempt.count == 1


async def test_too_many_requests_are_waited_out() -> None:
    busy = EndpointUnavailable("429", url="", answered=True, status=429)
    attempt = Attempt(*[busy] * 20)
    patient = RetryPolicy(attempts=3, first_wait=0.0, longest_wait=0.0, patience=30.0)
    assert await with_retries(attempt, patient) == "done"


def test_retries_stay_under_a_fifth_of_the_traffic_and_each_comes_to_an_end() -> None:
    async def go() -> tuple[int, int, float]:
        sent = retried = 0
        budget, policy = RetryBudget(), RetryPolicy(attempts=50, first_wait=0.01)

        async def one() -> None:
            nonlocal sent
            fails = 3

            async def attempt() -> None:
                nonlocal sent, fails
                sent += 1
                if fails:
                    fails -= 1
                    raise GONE

            await with_retries(attempt, policy, budget)

        async def steady() -> None:
            await asyncio.gather(*[one() for _ in range(50)])

        began = asyncio.get_running_loop().time()
        for _ in range(4):
            await steady()
        retried = budget.spent
        return sent, retried, asyncio.get_running_loop().time() - began

    sent, retried, took = clock.run(go())
    assert (sent, retried) == (800, 600)
    assert retried <= 10 + 0.2 * sent + took  # none beyond its share, but one a second


def test_a_quiet_time_saves_up_retries_for_one_replica_not_for_all() -> None:
    budget = RetryBudget()
    for _ in range(1_000_000):
        budget.first_try()
    taken = 0
    while budget.try_take():
        taken += 1
    assert taken == 1_000


def test_a_retry_that_is_cancelled_as_it_may_go_gives_its_turn_on() -> None:
    async def go() -> tuple[bool, float, int]:
        budget, loop = RetryBudget(), asyncio.get_running_loop()
        while budget.try_take():
            pass
        spent = budget.spent
        first, second = (asyncio.create_task(budget.take()) for _ in range(2))
        await asyncio.sleep(0)
        loop.call_at(1.0, first.cancel)  # in the turn in which it is let go
        await second
        return first.cancelled(), loop.time(), budget.spent - spent

    cancelled, at, spent = clock.run(go())
    assert cancelled and spent == 1
    assert at == pytest.approx(1.0)


@pytest.mark.parametrize("failed_before", [0, 1])
def test_a_request_that_is_cancelled_as_it_fails_is_cancelled(failed_before: int) -> None:
    async def go() -> bool:
        loop, failures = asyncio.get_running_loop(), [GONE] * failed_before

        async def attempt() -> str:
            if failures:
                raise failures.pop()
            answer: asyncio.Future[str] = loop.create_future()
            loop.call_at(5.0, answer.set_exception, EndpointUnavailable("late", url=""))
            return await answer

        task = asyncio.create_task(with_retries(attempt, AT_ONCE, RetryBudget()))
        await asyncio.sleep(1.0)
        loop.call_at(5.0, task.cancel)
        await asyncio.wait([task])
        return task.cancelled()

    assert clock.run(go())


def test_a_rate_limit_is_waited_out_as_long_as_it_lets_others_through() -> None:
    busy = EndpointUnavailable("429", url="", answered=True, status=429)
    policy = RetryPolicy(attempts=3, first_wait=10.0, longest_wait=10.0, patience=60.0)

    async def go(others_until: float) -> tuple[str, float]:
        loop = asyncio.get_running_loop()

        async def attempt() -> str:
            if loop.time() < 600.0:
                raise busy
            return "done"

        def answered_at() -> float:
            return min(loop.time(), others_until)

        try:
            return await with_retries(attempt, policy, None, answered_at), loop.time()
        except EndpointUnavailable as error:
            return str(error), loop.time()

    assert clock.run(go(others_until=590.0))[0] == "done"
    said, at = clock.run(go(others_until=200.0))
    assert said == "429" and 260.0 <= at < 320.0


@pytest.mark.parametrize(
    ("failed", "retry_after", "expected"),
    [
        (1, None, 0.25), (2, None, 0.5), (7, None, 16.0), (8, None, 30.0), (200, None, 30.0),
        (1, 4.0, 4.25), (1, 120.0, 120.25), (1, 500.0, 120.25),
    ],
)  # fmt: skip
def test_the_longest_wait_after_so_many_failures(
    monkeypatch: pytest.MonkeyPatch, failed: int, retry_after: float | None, expected: float
) -> None:
    drawn: list[tuple[float, float]] = []
    monkeypatch.setattr(retry.random, "uniform", lambda *ends: drawn.append(ends) or ends[1])
    assert RetryPolicy().wait(failed, retry_after) == expected
    assert drawn[0][0] == 0


def test_eight_attempts_are_made_and_no_patience_is_had_unless_told() -> None:
    policy = RetryPolicy()
    assert (policy.attempts, policy.first_wait, policy.longest_wait) == (8, 0.25, 30.0)
    assert (policy.longest_retry_after, policy.patience) == (120.0, 0.0)


async def test_one_attempt_is_one_unless_there_is_patience() -> None:
    once = RetryPolicy(attempts=1, first_wait=0.0, longest_wait=0.0)
    attempt = Attempt(GONE)
    with pytest.raises(EndpointUnavailable):
        await with_retries(attempt, once)
    assert attempt.count == 1
    patient = RetryPolicy(attempts=1, first_wait=0.0, longest_wait=0.0, patience=9.0)
    assert await with_retries(Attempt(GONE, GONE), patient) == "done"


async def test_what_is_doubtful_is_tried_soon_and_takes_nothing_from_the_budget(
    waited: list[float],
) -> None:
    doubtful = EndpointUnavailable("500", url="", answered=True, status=500, is_doubtful=True)
    budget = RetryBudget()
    policy = RetryPolicy(first_wait=1.0)
    assert await with_retries(Attempt(*[doubtful] * 4), policy, budget) == "done"
    assert (waited, budget.spent) == ([1.0] * 4, 0)
    failed = EndpointUnavailable("500", url="", answered=True, status=500)
    assert await with_retries(Attempt(failed, failed), policy, budget) == "done"
    assert (waited[4:], budget.spent) == ([1.0, 2.0], 2)


def test_a_quarter_of_a_retry_comes_with_each_first_try() -> None:
    budget = RetryBudget()
    assert [budget.try_take() for _ in range(11)] == [True] * 10 + [False]
    for _ in range(3):
        budget.first_try()
    assert not budget.try_take()
    budget.first_try()
    assert budget.try_take() and not budget.try_take()
    assert budget.spent == 11


def test_retries_beyond_the_budget_go_in_turn_one_a_second_or_as_traffic_lets_them() -> None:
    async def go() -> list[tuple[int, float]]:
        budget, loop, went = RetryBudget(), asyncio.get_running_loop(), []
        while budget.try_take():
            pass

        async def one(number: int) -> None:
            await budget.take()
            went.append((number, loop.time()))

        waiting = [asyncio.create_task(one(number)) for number in range(4)]
        await asyncio.sleep(0.5)
        for _ in range(4):
            budget.first_try()
        assert not budget.try_take()  # others came before
        await asyncio.gather(*waiting)
        assert budget.spent == 14
        return went

    assert clock.run(go()) == [(0, 0.5), (1, 1.0), (2, 2.0), (3, 3.0)]
