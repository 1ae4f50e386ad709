"""Orchestrator CPU per generated step: beam search N = 16 against a server that answers at once.

All of the client is in it: dispatch, HTTP, JSON, trees, selection, scoring, metering, grading and
the store and the journal, with every tree in flight at once. The server runs in another process
and is not counted. ``its_hub_us_per_step`` is what the nearest peer takes on the same server in the
same minutes, in turns with ours, and ``ratio`` how many times dearer it is. ``loop_lag_p99_ms`` is
by how much the event loop is late, ``loop_cpu_p99_ms`` the CPU that it spent meanwhile: the rest of
the lag is time that other processes took. Prints one JSON line.
"""

import argparse
import asyncio
import json
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvloop

from orchestrator.core.node import Node
from orchestrator.core.ports import Sampling
from orchestrator.core.problem import Problem
from orchestrator.endpoints.policies.http_policy import TokenPolicy
from orchestrator.endpoints.prm import QwenMathPRM
from orchestrator.endpoints.transport.transport import Endpoint, Transport
from orchestrator.runs.plan import Cell, NamedModel, Plan, Ports
from orchestrator.runs.scheduler import Scheduler
from orchestrator.storage.journal import JOURNAL, Journal
from orchestrator.storage.store import Store
from orchestrator.strategies import BeamSearch
from orchestrator.tasks.math.task import MathTask
from orchestrator.tasks.prompts import PROMPTS

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.benchmarks import its_hub_peer  # noqa: E402


class Counted:
    """Counts the steps a policy generates."""

    def __init__(self, policy: TokenPolicy) -> None:
        self.policy = policy
        self.steps = 0

    async def extend(self, node: Node, n: int, sampling: Sampling) -> list[Node]:
        children = await self.policy.extend(node, n, sampling)
        self.steps += len(children)
        return children


@dataclass(frozen=True, slots=True)
class Measured:
    """CPU seconds, generated steps, and of each tick of the loop by how many seconds it was late
    and how many of CPU the loop spent meanwhile."""

    cpu: float
    steps: int
    late: list[tuple[float, float]]


@asynccontextmanager
async def lag_measured() -> AsyncIterator[list[tuple[float, float]]]:
    """By how much a timer of 5 ms is late, and the CPU that the loop spent meanwhile, as long
    as the context lasts."""
    loop, late = asyncio.get_running_loop(), list[tuple[float, float]]()

    async def tick() -> None:
        while True:
            due, spent = loop.time() + 0.005, time.thread_time()
            await asyncio.sleep(0.005)
            late.append((max(0.0, loop.time() - due), time.thread_time() - spent))

    ticking = asyncio.create_task(tick())
    try:
        yield late
    finally:
        ticking.cancel()


async def measure(url: str, trees: int, folder: Path, *, journaled: bool = True) -> Measured:
    """What so many trees take, all in flight at once."""
    problems = [
        Problem(id=f"p{i}", question=f"What is {i} times {i}?", answer=str(i % 7))
        for i in range(trees)
    ]
    cell = Cell(
        task="bench", policies=(NamedModel(name="policy"),), prms=(NamedModel(name="prm"),),
        strategy_name="beam_search", strategy=BeamSearch(n=16),
    )  # fmt: skip
    async with AsyncExitStack() as stack:
        policy_transport, prm_transport = [
            await stack.enter_async_context(Transport(Endpoint(urls=(url,), model=name)))
            for name in ("policy", "prm")
        ]
        counted = Counted(
            TokenPolicy(policy_transport, PROMPTS["qwen"].asking(MathTask.instruction))
        )
        ports = Ports(
            policies={"policy": counted},
            prms={"prm": QwenMathPRM(transport=prm_transport)},
            task=await stack.enter_async_context(MathTask()),
        )
        store = stack.enter_context(Store(folder))
        journal = stack.enter_context(Journal(folder / JOURNAL)) if journaled else None
        plan = Plan(problems=problems, cells=[cell], trees=trees)
        scheduler = Scheduler(plan, ports, store, journal)
        async with lag_measured() as late:
            started = time.process_time()
            await scheduler.run()
            cpu = time.process_time() - started
        return Measured(cpu, counted.steps, late)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trees", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=2, help="of ours and the peer's in turns")
    parser.add_argument("--peer-trees", type=int, default=128)
    parser.add_argument("--no-peer", action="store_true", help="measure the orchestrator alone")
    options = parser.parse_args()
    with instant_server() as url, tempfile.TemporaryDirectory() as folder:
        uvloop.run(measure(url, 20, Path(folder) / "warm"))
        ours, theirs = list[Measured](), list[float]()
        for turn in range(options.rounds):
            ours.append(uvloop.run(measure(url, options.trees, Path(folder) / str(turn))))
            if turn == 0:  # before the peer takes memory too
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            if not options.no_peer:
                its_hub_peer.install(Path(tempfile.gettempdir()) / "its_hub-1.2.0")
                theirs.append(uvloop.run(its_hub_peer.measure(url, options.peer_trees)))
    cost = min(1e6 * one.cpu / one.steps for one in ours)
    late, busy = (sorted(each) for each in zip(*(t for one in ours for t in one.late), strict=True))
    result: dict[str, float] = {
        "us_per_step": round(cost, 1),
        "steps": ours[0].steps,
        "trees": options.trees,
        "peak_mb": round(peak, 1),
        "loop_lag_p99_ms": round(1e3 * late[99 * len(late) // 100], 1),
        "loop_cpu_p99_ms": round(1e3 * busy[99 * len(busy) // 100], 1),
    }
    if theirs:  # the cheapest turn of each: what else the machine did only ever adds
        result |= {
            "its_hub_us_per_step": round(min(theirs), 1),
            "ratio": round(min(theirs) / cost, 2),
        }
    print(json.dumps(result))


@contextmanager
def instant_server(*options: str) -> Iterator[str]:
    """The URL of a server that answers at once, in a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [
            sys.executable, str(Path(__file__).with_name("instant_server.py")), f"--port={port}",
            *options,
        ]
    )  # fmt: skip
    try:
        wait_for(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def wait_for(port: int) -> None:
    for _ in range(200):
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit("the instant server did not start")


if __name__ == "__main__":
    main()
