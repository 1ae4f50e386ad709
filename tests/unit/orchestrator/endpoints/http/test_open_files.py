import errno
import math
import resource
import socket
from pathlib import Path

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from orchestrator.endpoints.admission.adaptive_limit import FIRST
from orchestrator.endpoints.admission.dispatcher import Dispatcher
from orchestrator.endpoints.http import open_files
from orchestrator.endpoints.http.connecting import failure
from orchestrator.endpoints.http.open_files import RESERVE, OpenFiles
from orchestrator.errors import EndpointUnavailable, TooManyOpenFiles
from servers.simulated import clock

KEY = ConnectionKey("host", 80, False, True, None, None, None)  # type: ignore[call-arg]
URL = "http://host/v1/models"


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The process's soft and hard limit, 20 of which are in use."""
    limits = [1024, 4096]

    def set_limit(which: int, wanted: tuple[int, int]) -> None:
        limits[:] = wanted

    monkeypatch.setattr(resource, "getrlimit", lambda which: tuple(limits))
    monkeypatch.setattr(resource, "setrlimit", set_limit)
    monkeypatch.setattr(open_files, "_in_use", lambda: 20)
    return limits


def test_the_limit_is_raised_as_far_as_it_may_be_and_shared_out(limits: list[int]) -> None:
    files = OpenFiles()
    assert files.share == math.inf
    files.join()
    assert limits == [4096, 4096]
    assert files.share == 4096 - 20 - RESERVE
    files.join()
    assert files.share == (4096 - 20 - RESERVE) // 2
    files.leave()
    files.leave()
    assert files.share == math.inf


def test_a_limit_without_a_hard_one_is_raised_to_what_anyone_needs(limits: list[int]) -> None:
    limits[1] = resource.RLIM_INFINITY
    OpenFiles().join()
    assert limits == [1 << 20, resource.RLIM_INFINITY]


def test_a_limit_that_cannot_be_raised_is_kept_to(
    limits: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(which: int, wanted: tuple[int, int]) -> None:
        raise ValueError

    monkeypatch.setattr(resource, "setrlimit", refuse)
    files = OpenFiles()
    files.join()
    assert files.share == 1024 - 20 - RESERVE


def test_some_connections_are_had_however_low_the_limit_is(limits: list[int]) -> None:
    limits[:] = [32, 32]
    files = OpenFiles()
    files.join()
    assert files.share == 2


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
@pytest.mark.parametrize("kind", [aiohttp.ClientConnectorError, aiohttp.ClientConnectorDNSError])
def test_too_many_open_files_are_named_wherever_they_are_met(
    number: int, kind: type[aiohttp.ClientConnectorError]
) -> None:
    error = failure(kind(KEY, OSError(number, "no")), URL, 1.0)
    assert isinstance(error, TooManyOpenFiles)
    assert "too many open files" in str(error) and "`ulimit -n 65536`" in str(error)
    assert isinstance(failure(OSError(number, "no"), URL, 1.0), TooManyOpenFiles)


def test_a_name_that_cannot_be_looked_up_for_want_of_files_is_no_missing_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    missing = aiohttp.ClientConnectorDNSError(KEY, socket.gaierror(-3, "Temporary failure"))
    assert type(failure(missing, URL, 1.0)) is EndpointUnavailable
    monkeypatch.setattr(open_files, "_may_open", lambda: False)
    assert type(failure(missing, URL, 1.0)) is TooManyOpenFiles


def test_no_replica_is_blamed_and_fewer_are_sent_until_there_are_enough(limits: list[int]) -> None:
    async def run() -> None:
        limits[:] = [84, 84]
        files = OpenFiles()
        files.join()
        dispatcher = Dispatcher("m", ["http://a"], files=files)
        slots = [await dispatcher.admit(None) for _ in range(20)]
        for slot in slots:
            dispatcher.failed(slot, TooManyOpenFiles("no", url=""))
            dispatcher.release(slot)
        (replica,) = dispatcher.replicas
        assert replica.breaker.state == "closed" and replica.last_error is None
        assert replica.limit.limit == FIRST
        assert 2 <= files.share < 20
        for _ in range(5_000):
            slot = await dispatcher.admit(None)
            dispatcher.succeeded(slot, 1.0)
            dispatcher.release(slot)
        assert files.share == 40

    clock.run(run())


def test_what_is_in_use_is_counted() -> None:
    before = open_files._in_use()
    with Path(__file__).open():
        assert open_files._in_use() == before + 1


def test_it_is_shared_out_less_after_a_shortage_and_slowly_more_again(limits: list[int]) -> None:
    limits[:] = [144, 144]
    files = OpenFiles()
    files.join()
    assert (files.share, files.is_short) == (100, False)
    files.ran_out()
    assert (files.share, files.is_short) == (80, True)
    files.sufficed()
    assert files.share == pytest.approx(80.02)
    for _ in range(2_000):
        files.sufficed()
    assert (files.share, files.is_short) == (100, False)
    for _ in range(100):
        files.ran_out()
    assert files.share == 2
    files.leave()
    assert (files.share, files.is_short) == (math.inf, False)


def test_a_limit_that_is_high_enough_stays(limits: list[int]) -> None:
    for soft, hard in ((4096, 4096), (1 << 21, resource.RLIM_INFINITY)):
        limits[:] = [soft, hard]
        assert open_files.raised_limit() == soft
        assert limits == [soft, hard]
    limits[:] = [resource.RLIM_INFINITY, resource.RLIM_INFINITY]
    assert open_files.raised_limit() == 1 << 20


def test_where_the_hard_limit_cannot_be_had_10240_may(
    limits: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def as_macos(which: int, wanted: tuple[int, int]) -> None:
        if wanted[0] > 10_240:
            raise ValueError
        limits[:] = wanted

    monkeypatch.setattr(resource, "setrlimit", as_macos)
    limits[:] = [256, resource.RLIM_INFINITY]
    assert open_files.raised_limit() == 10_240
