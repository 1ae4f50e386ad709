import socket

import pytest

from servers.fleet.ports import is_loopback, reserve, url
from servers.fleet.spec import FleetError


def test_a_reserved_port_is_free_for_a_server_that_reuses_addresses_alone() -> None:
    with reserve("127.0.0.1", None) as port:
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))
        for _ in range(2):  # again after a restart
            with socket.create_server(("127.0.0.1", port)) as server:
                assert server.getsockname()[1] == port


def test_a_reserved_port_that_nobody_serves_refuses_connections() -> None:
    with reserve("127.0.0.1", None) as port, socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", port)) != 0


def test_a_port_that_is_served_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(FleetError, match=f"port {port} on 127.0.0.1 cannot be used"):
            reserve("127.0.0.1", port).__enter__()


def test_a_host_without_address_is_refused() -> None:
    with pytest.raises(FleetError, match=r"the host 'no\.such\.host\.invalid' has no address"):
        reserve("no.such.host.invalid", None).__enter__()


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("10.1.2.3", "http://10.1.2.3:80"),
        ("::1", "http://[::1]:80"),
        ("::", "http://[::1]:80"),
    ],
)
def test_a_url_is_one_that_this_machine_reaches(host: str, expected: str) -> None:
    assert url(host, 80) == expected


def test_loopback_is_told_from_the_rest() -> None:
    assert [is_loopback(h) for h in ("127.0.0.1", "::1", "localhost", "127.9.9.9")] == [True] * 4
    assert [is_loopback(h) for h in ("0.0.0.0", "::", "10.0.0.1", "gpu7", "")] == [False] * 5
