"""``orchard servers up``, with the moments that tell what it adds to vLLM's own start."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from servers.fleet import launch
from servers.fleet.state import ReplicaState
from tests.vllm import shipped


@dataclass(frozen=True, slots=True)
class Start:
    """When ``orchard servers up`` was called and when it returned; when each replica's server was
    started, and when it first was healthy. All in seconds since 1970.

    ``crowding`` is how many processes each core had to run when it was called.
    """

    called: float
    returned: float
    began: list[float]
    healthy: list[float]
    crowding: float

    @property
    def added(self) -> float:
        """What the command takes beyond the start of the servers themselves."""
        return (max(self.began) - self.called) + (self.returned - max(self.healthy))


def bring_up(fleet: Path) -> Start:
    """Start the fleet of shipped models and leave it up."""
    crowding = os.getloadavg()[0] / (os.cpu_count() or 1)
    called, healthy = time.time(), dict[str, float]()
    with shipped.orchard("servers", "up", fleet, "--detach") as process:
        with httpx.Client(trust_env=False, timeout=5) as http:
            while process.poll() is None:
                for replica in replicas():
                    if replica.url not in healthy and _answers(http, replica):
                        healthy[replica.url] = time.time()
                time.sleep(0.02)
        returned = time.time()
        said = process.stdout.read() if process.stdout else ""
    assert process.returncode == 0, said
    began = [psutil.Process(replica.pid).create_time() for replica in replicas()]
    return Start(called, returned, began, list(healthy.values()), crowding)


def replicas() -> tuple[ReplicaState, ...]:
    """Those of the fleet, none while it is not up."""
    found = launch.find(shipped.FLEET)
    return found.replicas if found else ()


def _answers(http: httpx.Client, replica: ReplicaState) -> bool:
    try:
        return http.get(f"{replica.url}/health").status_code == 200
    except httpx.HTTPError:
        return False
