"""Whose fault a failure is. In virtual time, against a server that does as the request's text says:
``good``, or the name of a misdeed."""

import asyncio
from typing import Any

import pytest

from orchestrator.endpoints.admission.dispatcher import Dispatcher
from orchestrator.endpoints.admission.replicas import Replica
from orchestrator.endpoints.http.retry import RetryPolicy
from orchestrator.endpoints.http.wire import ChatResponse, encode
from orchestrator.endpoints.transport.evidence import FEW, Doubts, Evidence
from orchestrator.endpoints.transport.requests import Request
from orchestrator.errors import (
    BadResponse,
    EndpointRefused,
    EndpointUnavailable,
    PromptRefused,
)
from servers.simulated import clock
from tests.unit.orchestrator.endpoints.transport.misdeeds import (
    BAD_ANSWERS,
    CHAT,
    MISDEEDS,
    RUNNING,
    A,
    B,
    C,
    Servers,
    ask,
    now,
    said,
    serving,
)

# A refusal


@pytest.mark.parametrize("deed", ["refused", "unprocessable"])
def test_a_prompt_that_is_refused_after_others_were_answered_is_refused_alone(deed: str) -> None:
    async def run() -> None:
        servers = Servers()
        async with serving(servers) as post:
            assert await post("good") is None
            error = await post(deed)
            assert type(error) is PromptRefused and "this one I do not like" in str(error)
            assert servers.texts == ["good", deed]

    clock.run(run())


def test_a_prompt_that_is_refused_first_is_told_from_a_misconfigured_endpoint_by_a_control() -> (
    None
):
    async def run() -> None:
        servers = Servers()
        async with serving(servers) as post:
            assert type(await post("refused")) is PromptRefused
            assert servers.texts == ["refused", "Hello"]
        servers = Servers(all_do={A: "refused"})
        async with serving(servers) as post:
            error = await post("good")
            assert type(error) is EndpointRefused and "this one I do not like" in str(error)
            assert servers.texts == ["good", "Hello"]

    clock.run(run())


def test_a_wave_of_refusals_needs_one_control() -> None:
    async def run() -> None:
        servers = Servers()
        async with serving(servers) as post:
            errors = await asyncio.gather(*(post(f"refused {i}") for i in range(20)))
            assert {type(error) for error in errors} == {PromptRefused}
            assert servers.texts.count("Hello") == 1

    clock.run(run())


def test_a_refusal_that_names_a_parameter_stops_the_run_without_more_ado() -> None:
    async def run() -> None:
        servers = Servers()
        async with serving(servers) as post:
            assert type(await post("parameter")) is EndpointRefused
            assert servers.texts == ["parameter"]

    clock.run(run())


def test_what_was_answered_in_another_way_speaks_for_nothing() -> None:
    async def run() -> None:
        servers = Servers()
        async with serving(servers) as post:
            assert await post("good", temperature=0.7) is None
            servers.all_do[A] = "refused"
            assert type(await post("good", temperature=70.0)) is EndpointRefused

    clock.run(run())


def test_a_server_that_refuses_everything_from_now_on_stops_the_run() -> None:
    async def run() -> None:
        servers = Servers()
        async with serving(servers) as post:
            assert await post("good") is None
            servers.all_do[A] = "refused"
            errors = [await post(f"good {i}") for i in range(2)]
            assert [type(error) for error in errors] == [PromptRefused, EndpointRefused]

    clock.run(run())


def test_a_firewall_that_stops_one_text_is_told_from_a_key_that_is_refused() -> None:
    async def run() -> None:
        servers = Servers()
        async with serving(servers) as post:
            assert type(await post("firewall")) is EndpointRefused  # nothing was answered yet
            assert await post("good") is None
            assert type(await post("firewall")) is PromptRefused
            servers.all_do[A] = "firewall"
            assert type(await post("good too")) is EndpointRefused

    clock.run(run())


def test_a_firewall_that_stops_the_first_text_of_its_kind_leaves_the_others_alone() -> None:
    async def run() -> None:
        servers = Servers()
        async with serving(servers) as post:
            assert await post("good") is None
            assert type(await post("firewall", temperature=0.3)) is PromptRefused
            servers.all_do[A] = "firewall"
            assert type(await post("good", temperature=0.5)) is EndpointRefused

    clock.run(run())


@pytest.mark.parametrize("deed", ["refused", "firewall", "parameter"])
def test_what_one_replica_refuses_another_is_asked(deed: str) -> None:
    async def run() -> None:
        servers = Servers()
        async with serving(servers, A, B) as post:
            await asyncio.gather(*(post(f"good {i}") for i in range(4)))
            servers.all_do[A] = deed
            errors = [await post(f"good too {i}") for i in range(8)]
            assert errors == [None] * 8
            servers.all_do.clear()
            assert type(await post("refused")) is PromptRefused  # by both

    clock.run(run())


# A failure


@pytest.mark.parametrize("deed", BAD_ANSWERS)
def test_an_answer_that_is_bad_each_time_costs_a_few_quick_tries_of_its_request(deed: str) -> None:
    async def run() -> None:
        servers = Servers()
        async with serving(servers) as post:
            errors = await asyncio.gather(
                *(post(f"{deed if i % 5 == 0 else 'good'} {i}") for i in range(100))
            )
            assert {type(error) for error in errors[::5]} == {BadResponse}
            assert all(error.is_alone for error in errors[::5])
            assert [error for i, error in enumerate(errors) if i % 5] == [None] * 80
            bad = [text for text in servers.texts if text.startswith(deed)]
            assert max(map(bad.count, bad)) <= FEW
            dispatcher = post.transport.dispatcher
            assert [each.breaker.state for each in dispatcher.replicas] == ["closed"]
            assert not any(url.endswith("/health") for url in servers.health)
            assert dispatcher.retry_budget.spent == 0
            assert now() < 6.0  # 80 answers of a second, and 32 go at once at first

    clock.run(run())


def test_an_engine_that_crashes_at_one_prompt_refuses_it_alone() -> None:
    async def run() -> None:
        servers = Servers()
        async with serving(servers) as post:
            error, none = await asyncio.gather(post("crash"), post("good"))
            assert type(error) is PromptRefused and none is None
            assert "illegal memory access" in str(error)
            assert servers.texts.count("crash") == FEW

    clock.run(run())


@pytest.mark.parametrize("deed", ["crash", "inside", "page", "gateway"])
def test_a_replica_that_fails_at_everything_is_left_alone_until_it_is_well(deed: str) -> None:
    async def run() -> None:
        servers = Servers()
        async with serving(servers) as post:
            assert await post("good") is None
            servers.all_do[A] = deed
            waiting = [asyncio.create_task(post(f"good {i}")) for i in range(50)]
            await asyncio.sleep(20.0)
            (replica,) = post.transport.dispatcher.replicas
            assert replica.breaker.state != "closed"
            assert len(servers.texts) < 100 and not any(task.done() for task in waiting)
            servers.all_do.clear()
            assert await asyncio.gather(*waiting) == [None] * 50

    clock.run(run())


@pytest.mark.parametrize("deed", ["crash", "inside", "page"])
def test_replicas_that_fail_are_found_out_by_what_others_answer(deed: str) -> None:
    async def run() -> None:
        servers = Servers(all_do={B: deed, C: deed})
        async with serving(servers, A, B, C) as post:
            for _ in range(3):
                errors = await asyncio.gather(*(post(f"good {i}") for i in range(30)))
                assert errors == [None] * 30
            states = {each.base: each.breaker.state for each in post.transport.dispatcher.replicas}
            assert states[A] == "closed" and "closed" not in (states[B], states[C])

    clock.run(run())


def test_accidents_that_pass_on_a_second_try_may_take_more_than_a_few() -> None:
    """Where a server is seen to fail by chance, bad luck is no proof against a request."""

    async def run() -> None:
        servers = Servers(once={f"crash {i}" for i in range(20)})
        async with serving(servers) as post:
            assert await asyncio.gather(*(post(f"crash {i}") for i in range(20))) == [None] * 20
            assert type(await post("crash each time")) is PromptRefused
            assert servers.texts.count("crash each time") == RUNNING.attempts

    clock.run(run())


def test_a_rate_limit_inside_an_answer_is_waited_out() -> None:
    async def run() -> None:
        MISDEEDS["busy"] = said(200, "slow down", code=429)
        servers = Servers(once={"busy"})
        async with serving(servers) as post:
            assert await post("busy") is None

    clock.run(run())


def test_with_one_try_a_failure_is_what_it_was() -> None:
    async def run() -> None:
        servers = Servers()
        async with serving(servers, retry=RetryPolicy(attempts=1)) as post:
            assert type(await post("crash")) is EndpointUnavailable
            assert type(await post("page")) is BadResponse
            assert len(servers.texts) == 2

    clock.run(run())


def test_a_way_of_asking_that_is_always_answered_badly_is_told_from_one_bad_prompt() -> None:
    async def run() -> None:
        servers = Servers(delay=0.01)  # which give one sample, however many are asked for
        async with serving(servers) as post:

            def counted(n: int) -> Any:
                def read(answer: ChatResponse, url: str) -> ChatResponse:
                    if len(answer.choices) != n:
                        raise BadResponse("a choice too few", url=url)
                    return answer

                return read

            async def ask_for(n: int, text: str) -> BadResponse | None:
                try:
                    request = ask(text, n=n)
                    await post.transport.post(CHAT, request, ChatResponse, counted(n))
                except BadResponse as error:
                    return error
                return None

            async def others() -> None:
                for number in range(100):
                    assert await ask_for(1, f"good {number}") is None

            going_on = asyncio.create_task(others())
            error = await ask_for(4, "good")
            assert error is not None and error.is_final and not error.is_alone
            await going_on
            (replica,) = post.transport.dispatcher.replicas
            assert replica.breaker.state == "closed"

    clock.run(run())


def test_a_replica_that_fails_at_a_control_too_is_left_alone_at_once() -> None:
    async def go() -> None:
        dispatcher = Dispatcher("m", [A, B])
        first, second = dispatcher.replicas
        crash = EndpointUnavailable("crash", url=A, answered=True, status=500, is_doubtful=True)

        async def send(replica: Replica, request: Request) -> object:
            raise crash

        evidence, doubts = Evidence(dispatcher, send, attempts=8), Doubts()
        payload = ask("crash")
        request = Request(CHAT, payload, encode(payload), ChatResponse, None)
        for _ in range(FEW - 1):
            assert await evidence.judge_failure(crash, doubts, request, first) is crash
            assert crash.is_doubtful and first.breaker.state == "closed"
        assert await evidence.judge_failure(crash, doubts, request, first) is crash
        assert not crash.is_doubtful
        assert (first.breaker.state, second.breaker.state) == ("open", "closed")

    clock.run(go())


def test_a_request_that_another_replica_answers_is_held_against_the_first() -> None:
    async def go() -> list[int]:
        dispatcher = Dispatcher("m", [A, B])
        first, second = dispatcher.replicas
        failure = BadResponse("nonsense", url=A)

        async def send(replica: Replica, request: Request) -> object:
            return None

        evidence = Evidence(dispatcher, send, attempts=8)
        doubts = Doubts([(first, 0, failure), (second, 0, failure)])
        evidence.recovered(doubts, second)
        return [first.breaker.failures, second.breaker.failures]

    assert clock.run(go()) == [1, 0]
