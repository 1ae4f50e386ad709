"""The fleet over HTTP, in real time: a port for each replica."""

from contextlib import AsyncExitStack
from typing import Self

from aiohttp import web

from servers.simulated.faults import HalfClosed
from servers.simulated.fleet import Fleet

_SHUTDOWN_S = 0.5


class HttpFront:
    """Serves every replica of ``fleet`` at ``host``, from ``port`` on or at free ones for 0.

    An async context manager; ``urls`` are by replica, once it is entered.
    """

    def __init__(self, fleet: Fleet, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._fleet = fleet
        self._host = host
        self._port = port
        self._stack = AsyncExitStack()
        self.urls: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        """Raises ``OSError`` where a port is taken."""
        async with AsyncExitStack() as on_failure:
            self._fleet.faults.begin()
            for number, name in enumerate(self._fleet.replicas):
                runner = web.ServerRunner(
                    web.Server(self._handler(name), handler_cancellation=True, access_log=None),
                    shutdown_timeout=_SHUTDOWN_S,
                )
                await runner.setup()
                on_failure.push_async_callback(runner.cleanup)
                port = self._port + number if self._port else 0
                await web.TCPSite(runner, self._host, port, backlog=4096).start()
                host, port = runner.addresses[0][:2]
                self.urls[name] = f"http://{f'[{host}]' if ':' in host else host}:{port}"
            self._stack = on_failure.pop_all()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._stack.aclose()

    def _handler(self, replica: str) -> "_Handler":
        return _Handler(self._fleet, replica)


class _Handler:
    def __init__(self, fleet: Fleet, replica: str) -> None:
        self._fleet = fleet
        self._replica = replica

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.content.read(-1) if request.body_exists else None
        try:
            reply = await self._fleet.handle(self._replica, request.method, request.path, body)
        except HalfClosed:
            response = web.StreamResponse(headers={"Content-Length": "4096"})
            response.content_type = "application/json"
            await response.prepare(request)
            await response.write(b'{"id": "cmpl-')
            return _broken_off(request, response)
        except ConnectionError:
            return _broken_off(request, web.Response())
        kind = "text/plain" if request.path == "/metrics" else "application/json"
        return web.Response(
            status=reply.status, body=reply.body, headers=reply.headers, content_type=kind
        )


def _broken_off(request: web.BaseRequest, response: web.StreamResponse) -> web.StreamResponse:
    # A port cannot stop listening for one replica's death without racing its return: a connection
    # that is reset before a word is what a proxy in front of a dead server gives, too.
    if request.transport is not None:
        request.transport.abort()
    return response
