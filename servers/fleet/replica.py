"""One replica of a fleet: started, watched, and started again when it ends."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from servers.fleet import health
from servers.fleet.diagnosis import Diagnosis, diagnose
from servers.fleet.kept import Kept, kept
from servers.fleet.logs import Log
from servers.fleet.restarts import Timing
from servers.fleet.spec import FleetError
from servers.fleet.state import Phase, ReplicaState


@dataclass(slots=True, kw_only=True)
class ReplicaProcess:
    """``changed`` is called with every new state; ``run`` is that of the fleet."""

    state: ReplicaState
    command: list[str]
    environment: dict[str, str]
    run: str
    timing: Timing
    http: httpx.AsyncClient
    changed: Callable[[ReplicaState], None]
    was_ready: bool = field(default=False, init=False)

    async def keep_running(self) -> None:
        """Run the server until cancelled; then it is gone.

        Raises ``FleetError`` where it never came up, at once if the reason will not pass. One that
        was ready before is started again and again.
        """
        try:
            await self._keep_running()
        except asyncio.CancelledError:
            self._become("stopped", pid=None)
            raise

    async def _keep_running(self) -> None:
        failures = 0
        while True:
            log = Log.from_here(Path(self.state.log))
            ready_for, code = await self._once()
            diagnosis = diagnose(log.read(), code)
            failures = 1 if ready_for >= self.timing.settled else failures + 1
            if not self.was_ready and (diagnosis.permanent or failures >= self.timing.tries):
                self._become("failed", pid=None, problem=diagnosis.message)
                raise FleetError(self._gave_up(diagnosis, failures))
            self._become("restarting", pid=None, problem=diagnosis.message)
            await asyncio.sleep(self.timing.delay(failures))
            self._become("starting", restarts=self.state.restarts + 1)

    async def _once(self) -> tuple[float, int | None]:
        """Seconds for which it was ready, and its exit code; None if it hung and was ended."""
        async with kept(
            self.command,
            environment=self.environment,
            log=Path(self.state.log),
            run=self.run,
            replica=self.state.name,
            grace=self.timing.grace,
        ) as server:
            self._become("starting", pid=server.pid)
            return await self._watch(server)

    async def _watch(self, server: Kept) -> tuple[float, int | None]:
        ended = asyncio.ensure_future(server.ended())
        ready_at: float | None = None
        answered_at = 0.0
        try:
            while not ended.done():
                now = time.monotonic()
                if await self._answers(ready=ready_at is not None):
                    answered_at = now
                    if ready_at is None:
                        ready_at = now
                        self.was_ready = True
                        self._become("ready", problem=None)
                elif ready_at is not None and now - answered_at > self.timing.hung:
                    return now - ready_at, None
                pause = self.timing.poll if ready_at is None else self.timing.watch
                await asyncio.wait({ended}, timeout=pause)
            return (time.monotonic() - ready_at if ready_at is not None else 0.0), ended.result()
        finally:
            ended.cancel()

    async def _answers(self, *, ready: bool) -> bool:
        url, model = self.state.url, self.state.model
        return await health.is_healthy(self.http, url) and (
            ready or await health.serves(self.http, url, model)
        )

    def _become(self, phase: Phase, **changes: Any) -> None:
        since = self.state.since if phase == self.state.phase else time.time()
        self.state = replace(self.state, phase=phase, since=since, **changes)
        self.changed(self.state)

    def _gave_up(self, diagnosis: Diagnosis, failures: int) -> str:
        tried = "" if diagnosis.permanent else f" ({failures} starts)"
        return (
            f"{self.state.name} ({self.state.model}) did not start{tried}: {diagnosis.message}; "
            f"its log: {self.state.log}"
        )
