"""A simulated fleet as the orchestrator's sender: no sockets, and virtual time where that runs."""

import asyncio
from typing import Self

from orchestrator.endpoints.http.sender import HttpResponse
from orchestrator.errors import EndpointUnavailable
from servers.simulated.fleet import Fleet

_SCHEME = "http://"


class SimulatedSender:
    """Hands requests to the replica that a URL's host names; ``timeout`` (seconds) bounds each."""

    def __init__(self, fleet: Fleet, *, timeout: float = 600.0) -> None:
        self._fleet = fleet
        self._timeout = timeout

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        return None

    async def send(self, method: str, url: str, body: bytes | None) -> HttpResponse:
        replica, _, path = url.removeprefix(_SCHEME).partition("/")
        try:
            async with asyncio.timeout(self._timeout):
                reply = await self._fleet.handle(replica, method, f"/{path}", body)
        except TimeoutError as error:
            raise EndpointUnavailable(
                f"{url} did not answer within {self._timeout:g} s", url=url, timed_out=True
            ) from error
        except ConnectionError as error:
            raise EndpointUnavailable(f"{url}: {error}", url=url) from error
        return HttpResponse(status=reply.status, content=reply.body, headers=reply.headers)


def urls(fleet: Fleet, model: str) -> tuple[str, ...]:
    """Where the replicas of a model are, for a ``SimulatedSender``."""
    return tuple(_SCHEME + name for name in fleet.names(model))
