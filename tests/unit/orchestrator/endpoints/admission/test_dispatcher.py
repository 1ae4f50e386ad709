"""What a dispatcher holds requests back for: rates, limits, replicas that are slow or fail."""

import asyncio

import pytest

from orchestrator.core.fanout import fan_out
from orchestrator.core.node import Node
from orchestrator.endpoints.admission.adaptive_limit import FIRST
from orchestrator.endpoints.admission.dispatcher import Dispatcher
from orchestrator.endpoints.admission.queues import Slot
from orchestrator.endpoints.admission.rate_limits import RateLimits
from orchestrator.errors import EndpointUnavailable, RateLimited
from servers.simulated import clock
from tests.unit.orchestrator.endpoints.admission.dispatching import (
    A,
    B,
    in_virtual_time,
    keeping,
    kill,
    node,
    now,
    use,
)


@in_virtual_time
async def test_requests_beyond_the_rate_wait_in_the_order_of_turns() -> None:
    dispatcher = Dispatcher("m", [A], rates=RateLimits(60, None))
    order: list[int] = []

    async def one(number: int) -> float:
        _, began = await use(dispatcher, node(number=number), 0.1)
        order.append(number)
        return began

    began = await keeping(dispatcher, fan_out(one(number) for number in reversed(range(90))))
    assert order[1:] == sorted(order[1:])
    assert max(began) > 60.0
    for start in began:
        assert sum(start <= each < start + 60.0 for each in began) <= 60


@in_virtual_time
async def test_headers_alone_are_limit_enough() -> None:
    dispatcher = Dispatcher("m", [A])

    async def one(number: int) -> float:
        slot = await dispatcher.admit(node(number=number))
        left = max(0, 9 - number)
        headers = {
            "x-ratelimit-limit-requests": "10",
            "x-ratelimit-remaining-requests": f"{left}",
            "x-ratelimit-reset-requests": f"{(10 - left) * 2}s",
        }
        dispatcher.observe_headers(headers, slot)
        began = now()
        dispatcher.release(slot)
        return began

    async def all_of_them() -> list[float]:
        return [await one(number) for number in range(15)]

    began = await keeping(dispatcher, all_of_them())
    assert began[:10] == [0.0] * 10
    assert began[12] >= 2.0  # one every two seconds, from then on
    assert dispatcher.status().rate_limited > 0


@in_virtual_time
async def test_a_long_wait_for_a_limit_of_the_headers_is_shown_with_its_end() -> None:
    dispatcher = Dispatcher("m", [A])
    headers = {"x-ratelimit-limit-requests": "9", "x-ratelimit-remaining-requests": "0"}

    async def go() -> str | None:
        slot = await dispatcher.admit(None)
        dispatcher.observe_headers(headers, slot)
        dispatcher.release(slot)
        waiting = [asyncio.create_task(use(dispatcher)) for _ in range(3)]
        await asyncio.sleep(18.5)
        waits = dispatcher.status().waits_for
        for one in waiting:
            one.cancel()
        return waits

    waits = await keeping(dispatcher, go())
    assert waits.startswith("3 wait for the rate limit, the next in 42 s, at ")


@in_virtual_time
async def test_the_limit_grows_with_what_the_server_takes_and_falls_when_it_refuses() -> None:
    dispatcher = Dispatcher("m", [A])
    await fan_out(use(dispatcher, node(f"{i}")) for i in range(2_000))
    grown = dispatcher.status().limit
    assert grown > 8 * FIRST
    busy = EndpointUnavailable("busy", url=A, answered=True, status=429)
    for _ in range(grown):
        slot = await dispatcher.admit(None)
        dispatcher.failed(slot, busy)
        dispatcher.release(slot)
    assert dispatcher.status().limit < grown


def limited(seconds: float, url: str = A) -> EndpointUnavailable:
    return EndpointUnavailable(
        f"{url} answers 429, a rate limit (requests per day)",
        url=url,
        answered=True,
        status=429,
        retry_after=seconds,
        limit="requests per day",
    )


@in_virtual_time
async def test_a_rate_limit_that_ends_soon_is_waited_for_and_shown_with_its_end() -> None:
    dispatcher = Dispatcher("m", [A], longest_pause=600.0)
    (only,) = dispatcher.replicas
    dispatcher.failed(Slot(only, now()), limited(500.0))
    waiting = [asyncio.create_task(use(dispatcher, node(f"{i}"))) for i in range(3)]
    await asyncio.sleep(100.0)
    waits = dispatcher.status().waits_for
    assert waits is not None
    assert waits.startswith("waiting for a rate limit (requests per day) that ends in 6 min 40 s")
    assert {round((await one)[1]) for one in waiting} == {500}


@pytest.mark.parametrize("seconds", [601.0, 26_000.0, float("inf")])
def test_a_rate_limit_that_ends_too_late_fails_all_requests_at_once(seconds: float) -> None:
    async def go() -> None:
        dispatcher = Dispatcher("m", [A], cap=1, longest_pause=600.0)
        slot = await dispatcher.admit(node())
        waiting = [asyncio.create_task(dispatcher.admit(node(f"{i}"))) for i in range(5)]
        await asyncio.sleep(1.0)
        dispatcher.failed(slot, limited(seconds))
        dispatcher.release(slot)
        for one in waiting:
            with pytest.raises(RateLimited, match="requests per day") as caught:
                await one
            assert caught.value.is_final
        with pytest.raises(RateLimited, match=r"a run waits 10 min 0 s .* `patience`"):
            await dispatcher.admit(node())
        assert now() == 1.0 and dispatcher.status().waiting == 0

    clock.run(go())


@in_virtual_time
async def test_one_replicas_rate_limit_is_not_the_others() -> None:
    dispatcher = Dispatcher("m", [A, B])
    first, second = dispatcher.replicas
    dispatcher.failed(Slot(first, now()), limited(26_000.0))
    took = await fan_out(use(dispatcher, node(f"{i}")) for i in range(10))
    assert {replica for replica, _ in took} == {second}
    assert dispatcher.takes_elsewhere(first) and not dispatcher.takes_elsewhere(second)
    dispatcher.failed(Slot(second, now()), limited(30_000.0, B))
    with pytest.raises(RateLimited, match=A):  # that of the one which ends first
        await dispatcher.admit(node())


@in_virtual_time
async def test_a_rate_limit_is_waited_for_once_the_rest_of_it_is_short_enough() -> None:
    dispatcher = Dispatcher("m", [A], longest_pause=120.0)
    (only,) = dispatcher.replicas
    dispatcher.failed(Slot(only, now()), limited(200.0))
    with pytest.raises(RateLimited):
        await dispatcher.admit(node())
    await asyncio.sleep(100.0)
    assert round((await use(dispatcher))[1]) == 200


@in_virtual_time
async def test_a_server_that_is_not_there_for_long_is_asked_again_nonetheless() -> None:
    dispatcher = Dispatcher("m", [A], longest_pause=120.0)
    (only,) = dispatcher.replicas
    gone = EndpointUnavailable("503", url=A, answered=True, status=503, retry_after=86_400.0)
    dispatcher.failed(Slot(only, now()), gone)
    assert round((await use(dispatcher))[1]) == 120


@in_virtual_time
async def test_what_is_to_be_tried_again_waits_too_where_nothing_else_does() -> None:
    dispatcher = Dispatcher("m", [A])
    (only,) = dispatcher.replicas
    dispatcher.failed(Slot(only, now()), limited(60.0))
    assert dispatcher.status().waits_for is None
    dispatcher.begun = 1
    assert "a rate limit (requests per day)" in (dispatcher.status().waits_for or "")


def of_a(dispatcher: Dispatcher) -> Node:
    """A node whose replica is the first."""
    first, *_ = dispatcher.replicas
    questions = (f"question {i}" for i in range(1_000))
    return node(next(q for q in questions if dispatcher.replicas.choose(q, 0.0) is first))


@in_virtual_time
async def test_a_replica_is_idle_with_less_than_three_quarters_of_its_limit() -> None:
    dispatcher = Dispatcher("m", [A, B])
    first, second = dispatcher.replicas
    asked = of_a(dispatcher)
    first.limit.limit = 1.0
    await dispatcher.admit(asked)
    slots = [dispatcher.at(second) for _ in range(26)]
    waiting = asyncio.create_task(dispatcher.admit(asked))
    await asyncio.sleep(0)
    dispatcher.release(slots.pop())
    dispatcher.release(slots.pop())
    await asyncio.sleep(0)
    assert (second.in_flight, waiting.done()) == (24, False)
    dispatcher.release(slots.pop())
    assert (await waiting).replica is second


@in_virtual_time
async def test_a_slow_replica_takes_nothing_over() -> None:
    dispatcher = Dispatcher("m", [A, B])
    first, second = dispatcher.replicas
    asked = of_a(dispatcher)
    first.limit.limit = 1.0
    slot = await dispatcher.admit(asked)
    second.share = 0.5
    other = dispatcher.at(second)
    waiting = asyncio.create_task(dispatcher.admit(asked))
    await asyncio.sleep(0)
    dispatcher.release(other)
    await asyncio.sleep(0)
    assert not waiting.done()
    dispatcher.release(slot)
    assert (await waiting).replica is first


@pytest.mark.parametrize(
    ("status", "limited", "is_open"),
    [(429, True, False), (503, True, True), (502, False, True), (500, False, True)],
)
def test_a_busy_replica_is_given_less_and_a_failing_one_left_alone(
    status: int, limited: bool, is_open: bool
) -> None:
    async def go() -> None:
        dispatcher = Dispatcher("m", [A])
        (replica,) = dispatcher.replicas
        error = EndpointUnavailable("no", url=A, answered=True, status=status)
        for _ in range(16):
            dispatcher.failed(Slot(replica, now()), error)
        assert (replica.limit.limit < FIRST) is limited
        assert (replica.breaker.state == "open") is is_open
        assert replica.last_error is error

    clock.run(go())


@pytest.mark.parametrize(("timed_out", "limited"), [(True, True), (False, False)])
def test_requests_that_time_out_are_too_many(timed_out: bool, limited: bool) -> None:
    async def go() -> None:
        dispatcher = Dispatcher("m", [A])
        (replica,) = dispatcher.replicas
        error = EndpointUnavailable("slow", url=A, timed_out=timed_out)
        for _ in range(16):
            dispatcher.failed(Slot(replica, now()), error)
        assert (replica.limit.limit < FIRST) is limited

    clock.run(go())


@pytest.mark.parametrize(
    ("status", "asks", "until"), [(503, 500.0, 120.0), (503, 60.0, 60.0), (429, 500.0, 500.0)]
)
def test_a_pause_that_is_no_rate_limit_is_as_long_as_is_waited_for(
    status: int, asks: float, until: float
) -> None:
    async def go() -> None:
        dispatcher = Dispatcher("m", [A], longest_pause=120.0)
        (replica,) = dispatcher.replicas
        error = EndpointUnavailable("no", url=A, answered=True, status=status, retry_after=asks)
        dispatcher.failed(Slot(replica, now()), error)
        assert (replica.paused_until, replica.paused_by) == (until, error)
        shorter = EndpointUnavailable("no", url=A, answered=True, status=status, retry_after=5.0)
        dispatcher.failed(Slot(replica, now()), shorter)
        assert (replica.paused_until, replica.paused_by) == (until, error)

    clock.run(go())


@in_virtual_time
async def test_a_doubtful_failure_is_counted_and_held_against_nobody_but_a_half_open_replica() -> (
    None
):
    dispatcher = Dispatcher("m", [A])
    (replica,) = dispatcher.replicas
    doubtful = EndpointUnavailable("crash", url=A, answered=True, status=500, is_doubtful=True)
    for _ in range(9):
        dispatcher.failed(Slot(replica, now()), doubtful)
    assert (replica.doubts, replica.breaker.state, replica.breaker.failures) == (9, "closed", 0)
    await kill(dispatcher, replica)
    dispatcher.on_health_check(replica, True)
    assert replica.breaker.state == "half-open"
    dispatcher.failed(Slot(replica, now()), doubtful)
    assert (replica.doubts, replica.breaker.state) == (10, "open")


@in_virtual_time
async def test_its_status_counts_what_there_is() -> None:
    dispatcher = Dispatcher("m", [A, B], cap=50)
    first, second = dispatcher.replicas
    status = dispatcher.status()
    assert (status.replicas, status.up, status.slow, status.limit) == (2, 2, 0, 50)
    assert (status.in_flight, status.waiting, status.retries, status.waits_for) == (0, 0, 0, None)
    first.limit.limit, second.share = 5.5, 0.5
    dispatcher.at(second)
    status = dispatcher.status()
    assert (status.in_flight, status.slow, status.limit) == (1, 1, 37)
    await kill(dispatcher, first)
    assert dispatcher.status().up == 1


@in_virtual_time
async def test_another_replica_that_takes_requests_is_known() -> None:
    dispatcher = Dispatcher("m", [A, B])
    first, second = dispatcher.replicas
    assert dispatcher.takes_elsewhere(first)
    second.paused_until = now() + 1.0
    assert not dispatcher.takes_elsewhere(first)
    assert dispatcher.takes_elsewhere(second)


@pytest.mark.parametrize("kind", ["requests", "tokens"])
def test_one_header_of_a_limit_is_limit_enough(kind: str) -> None:
    async def go() -> bool:
        dispatcher = Dispatcher("m", [A])
        slot = await dispatcher.admit(None)
        headers = {f"x-ratelimit-limit-{kind}": "9", f"x-ratelimit-remaining-{kind}": "1"}
        dispatcher.observe_headers(headers, slot)
        return dispatcher.rates.are_any

    assert clock.run(go())


@in_virtual_time
async def test_what_was_answered_is_known_with_its_time() -> None:
    dispatcher = Dispatcher("m", [A])
    await asyncio.sleep(5.0)
    slot = await dispatcher.admit(None)
    await asyncio.sleep(2.0)
    assert dispatcher.succeeded(slot, 4.0) == 2.0
    assert (dispatcher.answered_at, slot.replica.pace) == (7.0, 0.5)
    dispatcher.release(slot)
    assert (dispatcher.in_flight, slot.replica.in_flight) == (0, 0)
