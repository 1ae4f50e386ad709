"""Whether a long run leaks: searches over real HTTP, with failures and cancelled requests between.

Beam search, DVTS, best-of-N and majority voting, journaled and hedged, against a server that
answers some requests with 500 and breaks others off; meanwhile requests are sent and given up. A
fifth of it is a run to warm up, the rest a second run over the same connections, and this process
is weighed after each.
Prints one JSON line: ``rss_growth_mb`` and ``rss_ratio`` of the resident memory between the two,
``objects_a_tree`` that the second left behind (of those that Python's collector tracks; caches with
a bound hold a few, where a tree is thousands), ``fds_growth`` between the two, and what of file
descriptors and tasks is left at the end that was not there before.
"""

import argparse
import asyncio
import gc
import json
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import uvloop

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from orchestrator.core.node import root  # noqa: E402
from orchestrator.core.ports import Sampling  # noqa: E402
from orchestrator.core.problem import Problem  # noqa: E402
from orchestrator.endpoints.http.retry import RetryPolicy  # noqa: E402
from orchestrator.endpoints.http.sender import AiohttpSender, HttpResponse  # noqa: E402
from orchestrator.endpoints.policies.http_policy import TokenPolicy  # noqa: E402
from orchestrator.endpoints.prm import QwenMathPRM  # noqa: E402
from orchestrator.endpoints.transport.transport import Endpoint, Transport  # noqa: E402
from orchestrator.runs.plan import Cell, NamedModel, Plan, Ports  # noqa: E402
from orchestrator.runs.scheduler import Scheduler  # noqa: E402
from orchestrator.storage.journal import JOURNAL, Journal  # noqa: E402
from orchestrator.storage.store import Store  # noqa: E402
from orchestrator.strategies.building import build  # noqa: E402
from orchestrator.tasks.math.task import MathTask  # noqa: E402
from orchestrator.tasks.prompts import PROMPTS  # noqa: E402
from tests.benchmarks.step_cost import instant_server  # noqa: E402

TREES = 64
"""In flight at once."""

A_PROBLEM = 50
"""Requests, about: eight levels of two beams by each of two searches, and their scores."""

RETRY = RetryPolicy(first_wait=0.02, patience=120.0)


class CountingSender(AiohttpSender):
    """Counts what is sent, whatever becomes of it, and what is given up."""

    sent = cancelled = 0

    async def send(self, method: str, url: str, body: bytes | None) -> HttpResponse:
        self.sent += 1
        try:
            return await super().send(method, url, body)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


@dataclass(frozen=True, slots=True)
class Weight:
    """Of this process: bytes of resident memory, and how many of each."""

    rss: int
    objects: int
    fds: int
    tasks: int

    @classmethod
    async def now(cls) -> "Weight":
        await asyncio.sleep(0.5)  # until sockets that were given up are closed
        gc.collect()
        process = psutil.Process()
        tasks = len(asyncio.all_tasks())
        return cls(process.memory_info().rss, len(gc.get_objects()), process.num_fds(), tasks)


@dataclass(frozen=True, slots=True)
class Soaked:
    """``begun`` and ``ended`` are without a run; the others after one, its connections open.
    ``trees`` grew between those."""

    requests: int
    trees: int
    cancelled: int
    retries: int
    begun: Weight
    warm: Weight
    full: Weight
    ended: Weight


@asynccontextmanager
async def changing_its_mind(policy: TokenPolicy) -> AsyncIterator[None]:
    """Meanwhile requests are sent and given up, before they are answered or about then."""

    async def one(number: int) -> None:
        start = root(f"Never mind {number}?", seed=1, problem_id=f"{number}")
        sampling = Sampling(temperature=0.7, max_tokens=64)
        with suppress(TimeoutError):
            async with asyncio.timeout(random.uniform(0, 0.01)):
                await policy.extend(start, 4, sampling)

    async def on_and_on() -> None:
        number = 0
        while True:
            await asyncio.gather(*(one(number + i) for i in range(4)))
            number += 4

    task = asyncio.create_task(on_and_on())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def soaked(url: str, requests: int, folder: Path) -> Soaked:
    """About so many requests to the server at ``url``."""
    await _soak(url, 20 * A_PROBLEM, folder / "first")  # what a process opens once is open then
    return await _soak(url, requests, folder / "long")


async def _soak(url: str, requests: int, folder: Path) -> Soaked:
    cells = [
        Cell(
            task="soak", policies=(NamedModel(name="policy"),), prms=(NamedModel(name="prm"),),
            strategy_name=name, strategy=build(name, {"n": 8}),
        )
        for name in ("beam_search", "dvts", "best_of_n", "majority")
    ]  # fmt: skip
    begun = await Weight.now()
    async with AsyncExitStack() as stack:
        senders = CountingSender(), CountingSender()
        urls = (url, url.replace("127.0.0.1", "localhost"))  # to the client they are two replicas
        transports = [
            await stack.enter_async_context(
                Transport(Endpoint(urls=urls, model=name, hedge=95.0, retry=RETRY), sender)
            )
            for name, sender in zip(("policy", "prm"), senders, strict=True)
        ]
        policy = TokenPolicy(transports[0], PROMPTS["qwen"].asking(MathTask.instruction))
        ports = Ports(
            policies={"policy": policy},
            prms={"prm": QwenMathPRM(transport=transports[1])},
            task=await stack.enter_async_context(MathTask()),
        )
        store = stack.enter_context(Store(folder))
        journal = stack.enter_context(Journal(folder / JOURNAL))

        async def run(numbers: range) -> Weight:
            problems = [
                Problem(id=f"p{i}", question=f"What is {i} times {i}?", answer=str(i % 7))
                for i in numbers
            ]
            plan = Plan(problems=problems, cells=cells, trees=TREES)
            async with changing_its_mind(policy):
                await Scheduler(plan, ports, store, journal).run()
            del problems, plan
            return await Weight.now()

        problems = -(-requests // A_PROBLEM)
        warm = await run(range(problems // 5))
        full = await run(range(problems // 5, problems))
        retries = sum(transport.status().retries for transport in transports)
    return Soaked(
        requests=sum(sender.sent for sender in senders),
        trees=len(cells) * len(range(problems // 5, problems)),
        cancelled=sum(sender.cancelled for sender in senders),
        retries=retries,
        begun=begun,
        warm=warm,
        full=full,
        ended=await Weight.now(),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    options = parser.parse_args()
    started = time.monotonic()
    with instant_server("--faulty") as url, tempfile.TemporaryDirectory() as folder:
        found = uvloop.run(soaked(url, options.requests, Path(folder)))
    begun, warm, full, ended = found.begun, found.warm, found.full, found.ended
    result = {
        "requests": found.requests,
        "cancelled": found.cancelled,
        "retries": found.retries,
        "rss_growth_mb": round((full.rss - warm.rss) / 2**20, 1),
        "rss_ratio": round(full.rss / warm.rss, 3),
        "objects_a_tree": round((full.objects - warm.objects) / found.trees, 2),
        "fds_growth": full.fds - warm.fds,
        "fds_left": ended.fds - begun.fds,
        "tasks_left": ended.tasks - begun.tasks,
        "seconds": round(time.monotonic() - started),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
