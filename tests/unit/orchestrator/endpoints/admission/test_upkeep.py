"""What looks after an endpoint goes on whatever happens to it, in virtual time."""

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.core.fanout import fan_out
from orchestrator.endpoints.admission.dispatcher import Dispatcher
from orchestrator.endpoints.admission.rate_limits import RateLimits
from orchestrator.endpoints.admission.replicas_file import ReplicasFile
from orchestrator.endpoints.admission.upkeep import Upkeep, supervise
from orchestrator.endpoints.http.sender import HttpResponse
from orchestrator.errors import EndpointUnavailable
from servers.simulated import clock

A, B = "http://a", "http://b"
LOAD = b'vllm:num_requests_running{engine="0"} 2.0\nvllm:num_requests_waiting{engine="0"} 0.0\n'

Said = HttpResponse | Exception


class Server:
    """Answers a GET of each route with the next of its answers, the last one for ever."""

    def __init__(self, **routes: list[Said]) -> None:
        self.routes = routes
        self.asked: list[tuple[float, str]] = []

    async def __aenter__(self) -> "Server":
        return self

    async def __aexit__(self, *exception: object) -> None:
        pass

    async def send(self, method: str, url: str, body: bytes | None) -> HttpResponse:
        route = url.rpartition("/")[2]
        self.asked.append((asyncio.get_running_loop().time(), route))
        answers = self.routes[route]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def times(self, route: str) -> list[float]:
        return [at for at, asked in self.asked if asked == route]


async def keeping(
    dispatcher: Dispatcher, server: Server, work: Awaitable[Any], *listed: Any
) -> Any:
    upkeep = asyncio.create_task(Upkeep(dispatcher, server, *listed).run())
    try:
        return await work
    finally:
        assert not upkeep.done()
        upkeep.cancel()


async def use(dispatcher: Dispatcher) -> float:
    slot = await dispatcher.admit(None)
    dispatcher.release(slot)
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize("error", [KeyError("a\nbug"), asyncio.CancelledError("a stray one")])
def test_what_fails_is_told_in_a_line_and_begun_anew_after_a_growing_pause(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    began: list[float] = []

    async def work() -> None:
        began.append(asyncio.get_running_loop().time())
        raise error

    async def go() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(200.0):
                await supervise("counting", work)

    clock.run(go())
    assert began == [0.0, 1.0, 3.0, 7.0, 15.0, 31.0, 63.0, 123.0, 183.0]
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == len(began)
    assert lines[0].startswith(f"counting failed and begins anew in 1 s: {error!r}")
    assert not any("\n" in line for line in lines)


@pytest.mark.parametrize(
    "text", ["- http://b\n- 2026-13-45\n", "- [" * 5_000, "? [a]\n: b\n", "- !!int x\n", "\xff"]
)
def test_no_list_of_replicas_ends_the_letting_out_of_requests(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "replicas.yaml"
    path.write_text(f"- {A}\n")
    listed = ReplicasFile(path, "policy")

    async def go() -> list[float]:
        dispatcher = Dispatcher("m", [A], rates=RateLimits(60, None))
        listed.read()

        async def work() -> list[float]:
            path.write_text(text)
            await asyncio.sleep(5.0)
            went = [await use(dispatcher) for _ in range(70)]
            path.write_text(f"- {A}\n- {B}\n")
            await asyncio.sleep(5.0)
            assert len(dispatcher.replicas) == 2
            return went

        return await keeping(dispatcher, Server(), work(), listed)  # type: ignore[no-any-return]

    assert len(clock.run(go())) == 70
    assert len(caplog.records) == 1


def test_a_duty_that_fails_ends_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*arguments: object) -> Any:
        raise ZeroDivisionError("nobody expected this")

    monkeypatch.setattr(ReplicasFile, "has_changed", broken)
    monkeypatch.setattr("orchestrator.endpoints.admission.replicas.Replicas.weigh", broken)
    monkeypatch.setattr("orchestrator.endpoints.admission.adaptive_limit.LoopLag.observe", broken)

    async def go() -> None:
        dispatcher = Dispatcher("m", [A], rates=RateLimits(60, None), patience=60.0)
        listed = ReplicasFile(tmp_path / "replicas.yaml", "policy")
        health: list[Said] = [ValueError("so bad a host"), HttpResponse(status=200, content=b"")]
        server = Server(health=health)

        async def work() -> None:
            await fan_out(use(dispatcher) for _ in range(90))
            (only,) = dispatcher.replicas
            only.breaker.state = "open"
            await asyncio.sleep(30.0)
            assert only.breaker.state == "half-open"

        await keeping(dispatcher, server, work(), listed)

    clock.run(go())
    assert {record.getMessage().partition(" failed")[0] for record in caplog.records} == {
        "m: following the list of replicas",
        "m: reading the servers' load",
        "m: watching the event loop",
    }


def test_where_requests_cannot_be_let_out_they_fail_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def go() -> None:
        dispatcher = Dispatcher("m", [A], rates=RateLimits(60, None))
        wait, fail = dispatcher.rates._wait, True

        def broken(*arguments: Any) -> float:
            if fail:
                raise OverflowError("a number too large")
            return wait(*arguments)

        monkeypatch.setattr(dispatcher.rates, "_wait", broken)

        async def work() -> None:
            nonlocal fail
            for _ in range(3):
                with pytest.raises(EndpointUnavailable, match="a number too large") as caught:
                    await use(dispatcher)
                assert caught.value.is_final
            fail = False
            await use(dispatcher)

        await keeping(dispatcher, Server(), work())

    clock.run(go())


NOTHING = HttpResponse(status=200, content=b"")


async def _busy(dispatcher: Dispatcher, seconds: float) -> None:
    slot = await dispatcher.admit(None)
    await asyncio.sleep(seconds)
    dispatcher.release(slot)


def asked_for_load(answers: list[Said], seconds: float = 300.0) -> tuple[list[float], bool]:
    """When a busy replica was asked for its load, and whether that was read in the end."""
    server = Server(metrics=answers)

    async def go() -> bool:
        dispatcher = Dispatcher("m", [A])
        await keeping(dispatcher, server, _busy(dispatcher, seconds))
        (only,) = dispatcher.replicas
        return only.load_told is not None

    read = clock.run(go())
    return server.times("metrics"), read


@pytest.mark.parametrize(
    "accident",
    [
        HttpResponse(status=503, content=b"starting"),
        HttpResponse(status=500, content=LOAD),
        HttpResponse(status=429, content=b""),
        HttpResponse(status=401, content=b""),
        HttpResponse(status=200, content=b"vllm:num_requests_waiting many\n"),
        HttpResponse(status=200, content=b"vllm:num_requests_waiting NaN\n"),
        EndpointUnavailable("did not answer", url=A, timed_out=True),
        UnicodeError("label too long"),
    ],
)
def test_metrics_that_are_out_of_reach_once_are_read_again(accident: Said) -> None:
    asked, read = asked_for_load([accident, HttpResponse(status=200, content=LOAD)], seconds=10.0)
    assert read
    assert asked[:4] == pytest.approx([1.0, 2.0, 3.0, 4.0], abs=0.1)


def test_metrics_that_stay_out_of_reach_are_asked_for_ever_more_rarely() -> None:
    asked, read = asked_for_load([HttpResponse(status=503, content=b"")])
    assert not read
    assert 5 <= len(asked) <= 14
    assert asked[-1] > 200.0


@pytest.mark.parametrize(
    "answer",
    [*(HttpResponse(status=status, content=b"no") for status in (404, 405, 501)), NOTHING],
)
def test_metrics_that_are_not_there_are_asked_for_once(answer: HttpResponse) -> None:
    asked, read = asked_for_load([answer])
    assert (len(asked), read) == (1, False)


def test_a_server_that_told_its_load_once_is_asked_again_whatever_stands_in_front_of_it() -> None:
    page = HttpResponse(status=404, content=b"<html>")
    asked, _ = asked_for_load([HttpResponse(status=200, content=LOAD), page, NOTHING, page], 30.0)
    assert len(asked) >= 5


@pytest.mark.parametrize(
    ("answer", "is_back"),
    [
        (HttpResponse(status=200, content=b""), True),
        (HttpResponse(status=404, content=b""), True),  # not every server has this route
        (HttpResponse(status=499, content=b""), True),
        (HttpResponse(status=500, content=b""), False),
        (HttpResponse(status=503, content=b""), False),
        (EndpointUnavailable("nothing answers", url=A), False),
    ],
)
def test_a_replica_is_back_once_it_answers_with_anything_but_trouble(
    answer: Said, is_back: bool
) -> None:
    async def go() -> str:
        dispatcher = Dispatcher("m", [A, B])
        first, _ = dispatcher.replicas
        dispatcher.hold_against(first, EndpointUnavailable("no", url=A), is_certain=True)
        await keeping(dispatcher, Server(health=[answer]), asyncio.sleep(0.9))
        return first.breaker.state

    assert clock.run(go()) == ("half-open" if is_back else "open")


def test_a_replica_that_is_down_is_asked_when_it_is_time_and_others_not() -> None:
    server = Server(health=[HttpResponse(status=503, content=b"")])

    async def go() -> None:
        dispatcher = Dispatcher("m", [A, B])
        first, _ = dispatcher.replicas
        dispatcher.hold_against(first, EndpointUnavailable("no", url=A), is_certain=True)
        await keeping(dispatcher, server, asyncio.sleep(4.0))

    clock.run(go())
    assert server.times("health") == pytest.approx([0.5, 1.5, 3.5])


def test_an_idle_replica_is_not_asked_for_its_load() -> None:
    server = Server(metrics=[HttpResponse(status=200, content=LOAD)])

    async def go() -> None:
        await keeping(Dispatcher("m", [A]), server, asyncio.sleep(10.0))

    clock.run(go())
    assert server.asked == []
