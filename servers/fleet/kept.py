"""A server in the hands of a keeper, seen from the supervisor."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from servers.fleet import keeper, leftovers


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """``pid`` is the server's first process; None where its keeper was killed before it said so."""

    pid: int | None
    keeper: asyncio.subprocess.Process

    async def ended(self) -> int:
        """Wait until the server and all its descendants are gone; its code (128 + a signal)."""
        return await self.keeper.wait()


@asynccontextmanager
async def kept(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    log: Path,
    run: str,
    replica: str,
    grace: float,
) -> AsyncIterator[Kept]:
    """Run a server for as long as the block lasts; nothing of it is left after that.

    It has ``grace`` seconds to end by itself after SIGTERM. Its output is added to ``log``.
    """
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", keeper.__file__, str(grace), *command),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=output,
            env={**os.environ, **environment, **leftovers.mark(run, replica)},
            process_group=0,  # so that a signal to the supervisor's group leaves keepers to work
        )
    assert process.stdin is not None and process.stdout is not None, "started with pipes"
    try:
        said = await process.stdout.readline()
        yield Kept(pid=int(said) if said else None, keeper=process)
    finally:
        process.stdin.close()
        await process.wait()
        if leftovers.marked(run, replica):  # the keeper was killed before its work was done
            await asyncio.to_thread(leftovers.end, run, replica)
