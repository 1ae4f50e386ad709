"""Orchestrator CPU per generated step: beam search N = 16 against a server that answers at once.

All of the client is in it: dispatch, HTTP, JSON, trees, selection, scoring, metering, grading and
the store. The server runs in another process and is not counted. Prints one JSON line.
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
from contextlib import AsyncExitStack
from pathlib import Path

from orchestrator.core.ports import Sampling
from orchestrator.core.problem import Problem
from orchestrator.core.tree import Node
from orchestrator.endpoints.policy import TokenPolicy
from orchestrator.endpoints.prm import QwenMathPRM
from orchestrator.endpoints.transport import Endpoint, Transport
from orchestrator.runs.plan import Cell, Model, Plan, Ports
from orchestrator.runs.scheduler import Scheduler
from orchestrator.runs.store import Store
from orchestrator.strategies import BeamSearch
from orchestrator.tasks.grader import MathGrader
from orchestrator.tasks.prompts import PROMPTS


class Counted:
    """Counts the steps a policy generates."""

    def __init__(self, policy: TokenPolicy) -> None:
        self.policy = policy
        self.steps = 0

    async def extend(self, node: Node, n: int, sampling: Sampling) -> list[Node]:
        children = await self.policy.extend(node, n, sampling)
        self.steps += len(children)
        return children


async def measure(url: str, trees: int, folder: Path) -> tuple[float, int]:
    """Client CPU seconds and generated steps of so many trees, all in flight at once."""
    problems = [
        Problem(id=f"p{i}", question=f"What is {i} times {i}?", answer=str(i % 7))
        for i in range(trees)
    ]
    cell = Cell(
        task="bench", policy=Model(name="policy"), prm=Model(name="prm"),
        strategy_name="beam_search", strategy=BeamSearch(n=16),
    )  # fmt: skip
    async with AsyncExitStack() as stack:
        policy_transport, prm_transport = [
            await stack.enter_async_context(Transport(Endpoint(urls=(url,), model=name)))
            for name in ("policy", "prm")
        ]
        counted = Counted(TokenPolicy(policy_transport, PROMPTS["qwen"].messages))
        ports = Ports(
            policies={"policy": counted},
            prms={"prm": QwenMathPRM(transport=prm_transport)},
            grader=await stack.enter_async_context(MathGrader()),
        )
        store = stack.enter_context(Store(folder))
        scheduler = Scheduler(Plan(problems=problems, cells=[cell], trees=trees), ports, store)
        started = time.process_time()
        await scheduler.run()
        return time.process_time() - started, counted.steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trees", type=int, default=500)
    options = parser.parse_args()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("instant_server.py")), f"--port={port}"]
    )
    try:
        wait_for(port)
        with tempfile.TemporaryDirectory() as folder:
            url = f"http://127.0.0.1:{port}"
            asyncio.run(measure(url, 20, Path(folder) / "warm"))
            cpu, steps = asyncio.run(measure(url, options.trees, Path(folder) / "run"))
    finally:
        server.terminate()
        server.wait()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    result = {
        "us_per_step": round(1e6 * cpu / steps, 1),
        "steps": steps,
        "trees": options.trees,
        "peak_mb": round(peak, 1),
    }
    print(json.dumps(result))


def wait_for(port: int) -> None:
    for _ in range(200):
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit("the instant server did not start")


if __name__ == "__main__":
    main()
