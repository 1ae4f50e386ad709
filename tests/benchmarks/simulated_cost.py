"""CPU of the simulated fleet per request, against the orchestrator's own.

Many trees of beam search (N = 16) run in process and in virtual time; what is spent inside the
fleet's ``handle`` and its engines' timers is the simulator's, all else the orchestrator's: trees,
selection, dispatch, JSON, scoring, metering, grading, the store. Prints one JSON line with
``us_per_request`` of both and their ``ratio``.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Generator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from orchestrator.commands.forecast.simulation import SimulatedSender, urls
from orchestrator.core.problem import Problem
from orchestrator.endpoints.policies.http_policy import TokenPolicy
from orchestrator.endpoints.prm import QwenMathPRM
from orchestrator.endpoints.transport.transport import Endpoint, Transport
from orchestrator.runs.plan import Cell, NamedModel, Plan, Ports
from orchestrator.runs.scheduler import Scheduler
from orchestrator.storage.store import Store
from orchestrator.strategies import BeamSearch
from orchestrator.tasks.math.task import MathTask
from orchestrator.tasks.prompts import PROMPTS
from servers.simulated import clock, problems
from servers.simulated.faults import Reply
from servers.simulated.fleet import Fleet
from servers.simulated.hardware import GPUS, MODELS, Speed
from servers.simulated.replica import Service, ServiceRole

NAMES: tuple[ServiceRole, ServiceRole] = ("policy", "prm")


class Stopwatch:
    """CPU seconds inside what it wraps; each advance of a coroutine counts, its waiting not."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def timer(self, function: Callable[[], None]) -> Callable[[], None]:
        def timed() -> None:
            began = time.thread_time()
            function()
            self.seconds += time.thread_time() - began

        return timed


class _Timed:
    def __init__(self, coroutine: Coroutine[Any, Any, Reply], watch: Stopwatch) -> None:
        self._coroutine = coroutine
        self._watch = watch

    def __await__(self) -> Generator[Any, Any, Reply]:
        sent: Any = None
        while True:
            began = time.thread_time()
            try:
                waits_for = self._coroutine.send(sent)
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]
            finally:
                self._watch.seconds += time.thread_time() - began
            sent = yield waits_for


class TimedFleet(Fleet):
    def __init__(self, services: Sequence[Service], watch: Stopwatch) -> None:
        super().__init__(services)
        self._watch = watch
        for replica in self.replicas.values():
            engine = replica.engine
            engine._boundary = watch.timer(engine._boundary)  # type: ignore[method-assign]

    async def handle(self, replica: str, method: str, path: str, body: bytes | None) -> Reply:
        return await _Timed(super().handle(replica, method, path, body), self._watch)


async def measure(trees: int, folder: Path) -> dict[str, float]:
    watch = Stopwatch()
    services = [
        Service(model=name, role=name, replicas=8, speed=Speed.of(MODELS[size], GPUS["H100"]))
        for name, size in zip(NAMES, ("1B", "7B"), strict=True)
    ]
    fleet = TimedFleet(services, watch)
    questions = [
        Problem(id=f"sum-{i}", question=each.question, answer=each.answer)
        for i, each in enumerate(problems.generate(trees, 7))
    ]
    cell = Cell(
        task="sums", policies=(NamedModel(name="policy"),), prms=(NamedModel(name="prm"),),
        strategy_name="beam_search", strategy=BeamSearch(n=16),
    )  # fmt: skip
    sender = SimulatedSender(fleet, timeout=1e9)
    policy, prm = (
        Transport(Endpoint(urls=urls(fleet, name), model=name), sender) for name in NAMES
    )
    async with policy, prm, MathTask() as task:
        ports = Ports(
            policies={"policy": TokenPolicy(policy, PROMPTS["qwen"].asking(task.instruction))},
            prms={"prm": QwenMathPRM(transport=prm)},
            task=task,
        )
        with Store(folder) as store:
            plan = Plan(problems=questions, cells=[cell], trees=trees)
            began = time.process_time()
            await Scheduler(plan, ports, store).run()
            total = time.process_time() - began
    requests = fleet.delivered.requests
    simulator, own = watch.seconds, total - watch.seconds
    return {
        "us_per_request": round(1e6 * simulator / requests, 1),
        "orchestrator_us_per_request": round(1e6 * own / requests, 1),
        "ratio": round(simulator / own, 3),
        "requests": requests,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trees", type=int, default=300)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clock.run(measure(20, Path(folder) / "warm"))
        print(json.dumps(clock.run(measure(options.trees, Path(folder) / "run"))))


if __name__ == "__main__":
    main()
