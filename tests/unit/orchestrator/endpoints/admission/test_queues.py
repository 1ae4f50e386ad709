"""Whose turn it is: requests that wait, are cancelled, or find their replica gone."""

import asyncio

import pytest

from orchestrator.core.fanout import fan_out
from orchestrator.core.node import Node
from orchestrator.endpoints.admission.dispatcher import Dispatcher
from orchestrator.endpoints.admission.queues import Slot
from orchestrator.endpoints.admission.rate_limits import RateLimits, TokenEstimate
from orchestrator.errors import EndpointUnavailable
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
async def test_where_there_is_room_a_request_goes_at_once_without_a_task_switch() -> None:
    dispatcher = Dispatcher("m", [A])
    with pytest.raises(StopIteration) as done:
        dispatcher.admit(node()).send(None)
    assert isinstance(done.value.value, Slot)


@in_virtual_time
async def test_no_more_are_in_flight_than_the_cap_and_all_have_their_turn() -> None:
    dispatcher, most = Dispatcher("m", [A, B], cap=5), 0

    async def one(i: int) -> None:
        nonlocal most
        slot = await dispatcher.admit(node(f"{i}"))
        most = max(most, dispatcher.in_flight)
        await asyncio.sleep(1.0)
        dispatcher.release(slot)

    await fan_out(one(i) for i in range(40))
    assert (most, now(), dispatcher.in_flight) == (5, 8.0, 0)


@in_virtual_time
async def test_trees_under_way_come_before_new_ones() -> None:
    dispatcher, order = Dispatcher("m", [A], cap=1), []

    async def one(asked: Node, name: str) -> None:
        await use(dispatcher, asked)
        order.append(name)

    await fan_out(
        [
            one(node(), "first"),
            one(node(number=2), "new"),
            one(node(number=3, begun=True), "begun"),
            one(node(number=1, begun=True), "begun before"),
        ]
    )
    assert order == ["first", "begun before", "begun", "new"]


@in_virtual_time
async def test_a_request_that_is_cancelled_while_it_waits_takes_nobodys_turn() -> None:
    dispatcher = Dispatcher("m", [A], cap=1)
    first = asyncio.create_task(use(dispatcher))
    await asyncio.sleep(0)
    second, third = (asyncio.create_task(use(dispatcher)) for _ in range(2))
    await asyncio.sleep(0.5)
    assert dispatcher.status().waiting == 2
    second.cancel()
    assert (await third)[1] == 1.0
    assert dispatcher.status().waiting == 0 and first.done()


@in_virtual_time
async def test_a_request_that_is_cancelled_as_its_turn_comes_gives_it_on() -> None:
    dispatcher = Dispatcher("m", [A], cap=1)
    slot = await dispatcher.admit(None)
    second, third = (asyncio.create_task(use(dispatcher)) for _ in range(2))
    await asyncio.sleep(0)
    dispatcher.release(slot)  # and the slot is the second's, which does not know yet
    second.cancel()
    await third
    assert dispatcher.in_flight == 0


@in_virtual_time
async def test_a_request_that_is_cancelled_as_patience_ends_is_cancelled() -> None:
    dispatcher = Dispatcher("m", [A], patience=120.0)
    await kill(dispatcher, next(iter(dispatcher.replicas)))
    waiting = asyncio.create_task(dispatcher.admit(node()))
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_at(120.0, waiting.cancel)  # after patience in the same turn
    await asyncio.sleep(121.0)
    assert waiting.cancelled()
    assert dispatcher.status().waiting == 0


@in_virtual_time
async def test_a_tree_whose_time_is_up_as_patience_ends_has_no_more_time() -> None:
    dispatcher = Dispatcher("m", [A], patience=120.0)
    await kill(dispatcher, next(iter(dispatcher.replicas)))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout_at(120.0):
            while True:
                try:
                    await dispatcher.admit(node())
                except EndpointUnavailable:  # as a tree that goes on without the branch
                    await asyncio.sleep(1_000.0)
    assert now() == pytest.approx(120.0)


@in_virtual_time
async def test_a_rate_limited_request_that_is_cancelled_as_it_goes_counts_for_nothing() -> None:
    dispatcher = Dispatcher("m", [A], rates=RateLimits(None, 1_000))
    large = TokenEstimate(900.0, 0.0, 900.0)

    async def go() -> float:
        first = asyncio.create_task(dispatcher.admit(None, large))
        while not dispatcher.in_flight:  # noqa: ASYNC110
            await asyncio.sleep(0)
        first.cancel()  # it is granted, and does not know yet
        slot = await dispatcher.admit(None, large)
        assert first.cancelled() and dispatcher.in_flight == 1
        dispatcher.release(slot)
        return now()

    assert await keeping(dispatcher, go()) < 60.0


@in_virtual_time
async def test_a_tree_waits_for_its_replica_and_an_idle_one_takes_over_what_waits_long() -> None:
    dispatcher = Dispatcher("m", [A, B])
    first, second = dispatcher.replicas
    first.limit.limit = second.limit.limit = 4.0
    took = await fan_out(use(dispatcher, node("same")) for _ in range(40))
    assert now() <= 5.0
    assert {replica for replica, _ in took} == {first, second}


@in_virtual_time
async def test_a_dead_replicas_waiters_go_to_the_others() -> None:
    dispatcher = Dispatcher("m", [A, B], patience=10.0)
    first, second = dispatcher.replicas
    first.limit.limit = second.limit.limit = 1.0
    slots = [await dispatcher.admit(node(f"{i}")) for i in range(2)]
    waiting = [asyncio.create_task(use(dispatcher, node(f"{i}"), 0.0)) for i in range(20)]
    await asyncio.sleep(0)
    await kill(dispatcher, first)
    for slot in slots:
        dispatcher.release(slot)
    assert {(await one)[0] for one in waiting} == {second}


@in_virtual_time
async def test_while_all_replicas_are_gone_requests_wait_and_say_so() -> None:
    dispatcher = Dispatcher("m", [A, B], patience=120.0)
    for replica in dispatcher.replicas:
        await kill(dispatcher, replica)
    waiting = [asyncio.create_task(use(dispatcher, node(f"{i}"))) for i in range(5)]
    await asyncio.sleep(30.0)
    assert str(dispatcher.status()) == "all 2 replicas are down: waiting since 30 s"
    dispatcher.on_health_check(next(iter(dispatcher.replicas)), True)
    began = sorted([(await one)[1] for one in waiting])
    assert began == [30.0, 31.0, 31.0, 31.0, 31.0]  # one to see whether it is back


@in_virtual_time
async def test_patience_ends_with_what_was_the_matter() -> None:
    dispatcher = Dispatcher("m", [A, B], patience=120.0)
    for replica in dispatcher.replicas:
        await kill(dispatcher, replica)
    for waited in (120.0, 120.0):  # and who comes later does not wait again
        with pytest.raises(EndpointUnavailable) as caught:
            await dispatcher.admit(node())
        assert now() == waited
        assert caught.value.is_final
        assert str(caught.value) == (
            "all 2 replicas of m were down for 120 s: nothing answers at http://a"
        )


@in_virtual_time
async def test_without_patience_requests_are_sent_whatever_is_known() -> None:
    dispatcher = Dispatcher("m", [A])
    (only,) = dispatcher.replicas
    await kill(dispatcher, only)
    assert (await use(dispatcher))[0] is only


@in_virtual_time
async def test_retry_after_is_for_all_requests_to_that_replica() -> None:
    dispatcher = Dispatcher("m", [A, B])
    first, second = dispatcher.replicas
    busy = EndpointUnavailable("busy", url=A, answered=True, status=429, retry_after=7.0)
    dispatcher.failed(Slot(first, now()), busy)
    took = await fan_out(use(dispatcher, node(f"{i}")) for i in range(10))
    assert {replica for replica, _ in took} == {second}
    dispatcher.failed(Slot(second, now()), busy)
    took = await fan_out(use(dispatcher, node(f"{i}")) for i in range(4))
    assert all(7.0 < began < 7.01 for _, began in took)


@in_virtual_time
async def test_replicas_come_and_go_while_requests_are_under_way() -> None:
    dispatcher = Dispatcher("m", [A], patience=60.0)
    (first,) = dispatcher.replicas
    first.limit.limit = 1.0
    under_way = asyncio.create_task(use(dispatcher, None, 5.0))
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(use(dispatcher, node(f"{i}"))) for i in range(3)]
    await asyncio.sleep(1.0)
    dispatcher.put_replicas([B])
    (second,) = dispatcher.replicas
    assert {await one for one in waiting} == {(second, 1.0)}
    assert await under_way == (first, 0.0)
    assert (dispatcher.in_flight, first.in_flight) == (0, 0)


@in_virtual_time
async def test_no_replica_at_all_is_waited_for() -> None:
    dispatcher = Dispatcher("m", [A], patience=60.0)
    dispatcher.put_replicas([])
    waiting = asyncio.create_task(use(dispatcher))
    await asyncio.sleep(3.0)
    assert str(dispatcher.status()) == "no replicas: waiting for one"
    dispatcher.put_replicas([B])
    assert (await waiting)[1] == 3.0
