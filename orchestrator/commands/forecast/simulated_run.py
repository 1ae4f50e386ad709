"""A run in virtual time: its own strategies and scheduler on a model of its machines."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from orchestrator.commands.forecast.machines import BY_PREFIX, Machines
from orchestrator.commands.forecast.simulation import SimulatedSender, urls
from orchestrator.config.endpoints import PolicyConfig, PRMConfig
from orchestrator.config.run import RunConfig
from orchestrator.console.progress import Counting
from orchestrator.console.terminal import Terminal
from orchestrator.core.budget import Spend
from orchestrator.core.records import Record
from orchestrator.endpoints.policies.http_policy import TokenPolicy
from orchestrator.endpoints.prm import QwenMathPRM
from orchestrator.endpoints.transport.transport import Endpoint, Transport
from orchestrator.runs.plan import Plan, Ports
from orchestrator.runs.scheduler import Scheduler
from orchestrator.storage.store import Store
from orchestrator.tasks.math.task import MathTask
from orchestrator.tasks.prompts import PROMPTS
from servers.simulated.fleet import Fleet
from servers.simulated.replica import Service
from servers.simulated.solutions import Writer


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """A simulated run of so many ``trees``: its ``seconds``, after ``full_s`` of which the last
    tree had begun; what the trees spent, and the fleet that they grew on."""

    trees: int
    seconds: float
    full_s: float
    spent: Spend
    fleet: Fleet

    def scaled(self, trees: int, in_flight: int, computing: float) -> float:
        """Seconds of so many trees, ``computing`` of these being those of the busiest replica.

        Two things are known to grow with their number, and the longer one counts: what the busiest
        replica computes, and the time until the last tree begins. The rest, the wait for the last
        trees, comes once, however many went before.
        """
        computed = computing * (trees / self.trees - 1)
        begun = 0.0
        if self.trees > in_flight:
            begun = self.full_s * ((trees - in_flight) / (self.trees - in_flight) - 1)
        return self.seconds + max(computed, begun)


async def simulate(
    config: RunConfig,
    plan: Plan,
    machines: Mapping[str, Machines],
    writer: Writer,
    folder: Path,
    console: Terminal | None,
) -> Took:
    """Carry out ``plan`` on ``machines`` whose models write as ``writer`` does, its records in
    ``folder``; ``console`` shows how far it is. Runs on the event loop of ``clock.run``."""
    fleet = _fleet(config, machines, writer)
    async with AsyncExitStack() as stack:
        ports = await _ports(config, machines, fleet, stack)
        store = stack.enter_context(Store(folder))
        scheduler = Scheduler(plan, ports, store)
        progress, loop, full_s = scheduler.progress, asyncio.get_running_loop(), 0.0
        line = None
        if console is not None:
            line = stack.enter_context(Counting("trees simulated", progress.total, console))

        def finished(record: Record) -> None:
            nonlocal full_s
            if progress.total - progress.finished >= plan.trees:
                full_s = loop.time()
            if line is not None:
                line.tick()

        scheduler.on_record = finished
        await scheduler.run()
        return Took(
            trees=progress.total, seconds=loop.time(), full_s=full_s, spent=progress.ledger.spent,
            fleet=fleet,
        )  # fmt: skip


def _fleet(config: RunConfig, machines: Mapping[str, Machines], writer: Writer) -> Fleet:
    return Fleet(
        [
            Service(
                model=name,
                role="policy" if name in config.policies else "prm",
                speed=each.speed,
                replicas=each.replicas,
                context=65_536,
                writer=writer,
                reads_cache=name in config.prms and config.prms[name].family in BY_PREFIX,
            )
            for name, each in machines.items()
        ]
    )


async def _ports(
    config: RunConfig, machines: Mapping[str, Machines], fleet: Fleet, stack: AsyncExitStack
) -> Ports:
    """The ports of the simulated models, open until ``stack`` is closed."""
    endpoints: dict[str, PolicyConfig | PRMConfig] = {**config.policies, **config.prms}
    opened = {
        name: await stack.enter_async_context(
            Transport(
                Endpoint(
                    urls=urls(fleet, name),
                    model=name,
                    concurrency=endpoints[name].concurrency,
                    requests_per_minute=endpoints[name].requests_per_minute,
                    tokens_per_minute=endpoints[name].tokens_per_minute,
                ),
                SimulatedSender(fleet, timeout=1e9),
            )
        )
        for name in machines
    }
    math = await stack.enter_async_context(MathTask())
    return Ports(
        policies={
            name: TokenPolicy(opened[name], PROMPTS[each.prompt].asking(math.instruction))  # type: ignore[index]
            for name, each in config.policies.items()
            if name in opened
        },
        prms={name: QwenMathPRM(transport=opened[name]) for name in config.prms if name in opened},
        task=math,
    )
