"""Ports that a fleet keeps to itself."""

import ipaddress
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from servers.fleet.spec import FleetError

_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


@contextmanager
def reserve(host: str, port: int | None) -> Iterator[int]:
    """Hold a port, any free one if None, for as long as the block lasts.

    The port is bound and not listened on: vLLM, which binds with SO_REUSEADDR, can still take it,
    again after every restart, and nobody can who binds without. Raises ``FleetError`` where another
    process listens there already.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port or 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise FleetError(f"the host {host!r} has no address ({error.strerror})") from error
    with socket.socket(family, kind, protocol) as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            held.bind(address)
        except OSError as error:
            raise FleetError(
                f"port {port} on {host} cannot be used ({error.strerror}): end what listens there, "
                "or give the service another port, or none to take any that is free"
            ) from error
        yield held.getsockname()[1]


def url(host: str, port: int) -> str:
    """Where a server bound to ``host`` answers on this machine."""
    reached = _ANY.get(host, host)
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only processes of this machine reach what is bound to ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
