"""What a dispatcher has to find out while its endpoint is in use, beside the requests' own way."""

import asyncio
import logging
from contextlib import suppress

from orchestrator.core.fanout import fan_out
from orchestrator.endpoints.dispatcher import Dispatcher
from orchestrator.endpoints.replicas import Replica
from orchestrator.endpoints.replicas_file import ReplicasFile
from orchestrator.endpoints.sending import Answer, Sender
from orchestrator.endpoints.server_load import read_load
from orchestrator.errors import ConfigError, EndpointError

LOG = logging.getLogger(__name__)

_LAG_EVERY_S, _HEALTH_EVERY_S, _LOAD_EVERY_S, _FILE_EVERY_S = 0.1, 0.25, 1.0, 1.0
_PATIENCE_S = 5.0


class Upkeep:
    """Looks after a dispatcher until it is cancelled: the event loop's lag, open replicas' health,
    servers' load, the list of replicas and the endpoint's rate."""

    def __init__(
        self, dispatcher: Dispatcher, sender: Sender, listed: ReplicasFile | None = None
    ) -> None:
        self._dispatcher = dispatcher
        self._sender = sender
        self._listed = listed

    async def run(self) -> None:
        await fan_out(
            [
                self._dispatcher.keep_rates(),
                self._watch_lag(),
                self._read_loads(),
                self._look_at_open_ones(),
                *([self._follow(self._listed)] if self._listed is not None else []),
            ]
        )

    async def _watch_lag(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _LAG_EVERY_S
            await asyncio.sleep(_LAG_EVERY_S)
            self._dispatcher.lag.seen(loop.time() - due, self._dispatcher.in_flight)

    async def _look_at_open_ones(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_HEALTH_EVERY_S)
            now = loop.time()
            replicas = self._dispatcher.replicas
            await fan_out(
                self._look_at(replica)
                for replica in replicas
                if replica.breaker.state == "open" and replica.breaker.look_at <= now
            )

    async def _look_at(self, replica: Replica) -> None:
        answer = await self._ask(f"{replica.base}/health")
        # Whoever answers is there; not every server has this route.
        self._dispatcher.looked(replica, answer is not None and answer.status < 500)

    async def _read_loads(self) -> None:
        while True:
            await asyncio.sleep(_LOAD_EVERY_S)
            self._dispatcher.replicas.weigh()
            await fan_out(
                self._read_load(replica)
                for replica in self._dispatcher.replicas
                if replica.tells_load and replica.in_flight and replica.breaker.state == "closed"
            )

    async def _read_load(self, replica: Replica) -> None:
        answer = await self._ask(f"{replica.base}/metrics")
        if answer is None:
            return
        load = read_load(answer.content, replica.load_told) if answer.status == 200 else None
        if load is None:
            replica.tells_load = False  # another kind of server, or one behind a proxy
            return
        replica.load_told = load
        replica.limit.told(load, asyncio.get_running_loop().time())

    async def _ask(self, url: str) -> Answer | None:
        with suppress(EndpointError, TimeoutError):
            async with asyncio.timeout(_PATIENCE_S):
                return await self._sender.send("GET", url, None)
        return None

    async def _follow(self, listed: ReplicasFile) -> None:
        while True:
            await asyncio.sleep(_FILE_EVERY_S)
            if not listed.has_changed():
                continue
            try:
                self._dispatcher.put_replicas(roots(listed.read()))
            except ConfigError as error:
                LOG.warning("%s; going on with the replicas it listed before", error)


def roots(urls: tuple[str, ...]) -> list[str]:
    """The replicas' roots, without ``/v1``."""
    return [url.rstrip("/").removesuffix("/v1") for url in urls]
