"""What a dispatcher has to find out while its endpoint is in use, beside the requests' own way."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from orchestrator.core.fanout import fan_out
from orchestrator.endpoints.admission.dispatcher import Dispatcher
from orchestrator.endpoints.admission.replicas import Replica
from orchestrator.endpoints.admission.replicas_file import ReplicasFile
from orchestrator.endpoints.admission.vllm_metrics import is_another_servers, read_load
from orchestrator.endpoints.http.sender import HttpResponse, Sender
from orchestrator.errors import ConfigError

LOG = logging.getLogger(__name__)

_LAG_EVERY_S, _HEALTH_EVERY_S, _LOAD_EVERY_S, _FILE_EVERY_S = 0.1, 0.25, 1.0, 1.0
_PATIENCE_S = 5.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0


async def supervise(duty: str, work: Callable[[], Awaitable[None]]) -> None:
    """Do ``work``, which has no end, again whenever it fails: after a line in the log, and a pause
    that grows while it keeps failing."""
    loop, task, pause = asyncio.get_running_loop(), asyncio.current_task(), _FIRST_PAUSE_S
    while True:
        began = loop.time()
        try:
            await work()
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise  # by whoever looks after this; any other cancellation is a failure
            if loop.time() - began > _LONGEST_PAUSE_S:
                pause = _FIRST_PAUSE_S
            LOG.warning("%s failed and begins anew in %g s: %r", duty, pause, error)
        await asyncio.sleep(pause)
        pause = min(_LONGEST_PAUSE_S, 2 * pause)


class Upkeep:
    """Looks after a dispatcher until it is cancelled: the event loop's lag, open replicas' health,
    servers' load, the list of replicas and the endpoint's rate. One that fails ends no other."""

    def __init__(
        self, dispatcher: Dispatcher, sender: Sender, listed: ReplicasFile | None = None
    ) -> None:
        self._dispatcher = dispatcher
        self._sender = sender
        self._listed = listed

    async def run(self) -> None:
        duties: list[tuple[str, Callable[[], Awaitable[None]]]] = [
            ("keeping the endpoint's rate", self._dispatcher.keep_rates),
            ("watching the event loop", self._watch_lag),
            ("reading the servers' load", self._read_loads),
            ("asking for the replicas' health", self._look_at_open_ones),
        ]
        if (listed := self._listed) is not None:
            duties.append(("following the list of replicas", lambda: self._follow(listed)))
        await fan_out(supervise(f"{self._dispatcher.model}: {duty}", work) for duty, work in duties)

    async def _watch_lag(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _LAG_EVERY_S
            await asyncio.sleep(_LAG_EVERY_S)
            self._dispatcher.lag.observe(loop.time() - due, self._dispatcher.in_flight)

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
        self._dispatcher.on_health_check(replica, answer is not None and answer.status < 500)

    async def _read_loads(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_LOAD_EVERY_S)
            self._dispatcher.replicas.weigh()
            await fan_out(
                self._read_load(replica)
                for replica in self._dispatcher.replicas
                if replica.tells_load
                and replica.load_due <= loop.time()
                and replica.in_flight
                and replica.breaker.state == "closed"
            )

    async def _read_load(self, replica: Replica) -> None:
        answer = await self._ask(f"{replica.base}/metrics")
        now = asyncio.get_running_loop().time()
        if answer is None:
            replica.observe_silence(now)
            return
        load = read_load(answer.content, replica.load_told) if answer.status == 200 else None
        if load is not None:
            replica.observe_load(load, now)
        else:
            is_another = is_another_servers(answer.status, answer.content)
            replica.observe_silence(now, is_another=is_another)

    async def _ask(self, url: str) -> HttpResponse | None:
        """What a server answers, if anything: what is wrong with it, its requests tell better."""
        try:
            async with asyncio.timeout(_PATIENCE_S):
                return await self._sender.send("GET", url, None)
        except Exception:
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
