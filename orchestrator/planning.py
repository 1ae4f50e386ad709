"""What a run would take on a fleet one does not have: hours, tokens, money, and what holds it up.

The run's own strategies, scheduler and dispatcher run in virtual time against a model of the GPUs
(``servers.simulated``) on stand-in problems; what more problems would take is added in proportion.
"""

import asyncio
import math
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.table import Table

from orchestrator.compose import problems as problems_of
from orchestrator.config import RunConfig
from orchestrator.core.problem import Problem
from orchestrator.endpoint_config import PolicyConfig, PRMConfig
from orchestrator.endpoints.policy import TokenPolicy
from orchestrator.endpoints.prm import QwenMathPRM
from orchestrator.endpoints.transport import Endpoint, Transport
from orchestrator.errors import ConfigError
from orchestrator.reading import read
from orchestrator.runs.plan import Cell, Plan, Ports
from orchestrator.runs.scheduler import Scheduler
from orchestrator.runs.store import Store
from orchestrator.sections import nearest
from orchestrator.simulation import SimulatedSender, urls
from orchestrator.tasks.grader import MathGrader
from orchestrator.tasks.prompts import PROMPTS
from orchestrator.terminal import Terminal
from servers.simulated import clock
from servers.simulated.fleet import Fleet
from servers.simulated.hardware import DoesNotFit, Speed, replica_of
from servers.simulated.replica import Service
from servers.simulated.solutions import Writer

POOLED = ("outcome", "qwen_math", "skywork", "trl")
"""PRM families that read a whole path anew for every score."""

BY_PREFIX = ("math_shepherd", "rlhflow")
"""PRM families whose servers keep a path in their prefix cache and read its new step alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machines:
    """One endpoint's part of a fleet: ``replicas`` of a model of so many GPUs each."""

    endpoint: str
    description: str
    replicas: int
    gpus: int
    speed: Speed


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one endpoint does in the whole run. ``busy`` is the share of the time its GPUs compute
    (0 to 1); tokens count those read, cached ones apart, and those generated."""

    endpoint: str
    machines: str
    gpus: int
    busy: float
    read_tokens: int
    cached_tokens: int
    generated_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """An estimate. ``simulated`` of ``problems`` were simulated; ``bottleneck`` is the endpoint
    whose GPUs are busiest, None where none is busy for half of the time; ``dollars`` is None
    without a price."""

    problems: int
    simulated: int
    hours: float
    gpu_hours: float
    dollars: float | None
    requests: int
    bottleneck: str | None
    loads: tuple[Load, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def read_fleet(text: str) -> dict[str, Machines]:
    """``policy=8xH100:1B,prm=2xH100:7B``, or a YAML file that maps the same names to the same.

    Raises ``ConfigError``.
    """
    path = Path(text)
    if "=" not in text or path.exists():
        entries = [(str(name), str(what)) for name, what in read(path).items()]
    else:
        parts = [part.partition("=") for part in text.split(",")]
        entries = [(name.strip(), what.strip()) for name, _, what in parts]
    found = {}
    for name, what in entries:
        try:
            replicas, gpu, gpus, model = replica_of(what)
            speed = Speed.of(model, gpu, gpus)
        except (DoesNotFit, ValueError) as error:
            raise ConfigError(f"--fleet: {name}: {error}") from None
        found[name] = Machines(
            endpoint=name, description=what, replicas=replicas, gpus=replicas * gpus, speed=speed
        )
    return found


def forecast(
    config: RunConfig,
    fleet: Mapping[str, Machines],
    *,
    problems: int | None = None,
    sample: int | None = None,
    step_tokens: float = 45.0,
    gpu_hour: float | None = None,
) -> Forecast:
    """Estimate a run. ``problems`` are the task's unless given, ``sample`` of them are simulated,
    steps have so many tokens on average, and a GPU costs ``gpu_hour`` dollars an hour.

    Raises ``ConfigError`` where the fleet does not fit the config, and ``TaskError``.
    """
    cells = config.build_cells()
    _check(config, cells, fleet)
    total = problems or len(problems_of(config))
    # fewer than are in flight at once would never fill the batches that the run fills
    few = min(total, sample or max(64, min(2 * config.trees, 256)))
    stand_ins = [Problem(id=f"stand-in-{i}", question=_question(i), answer="0") for i in range(few)]
    plan = Plan(
        problems=stand_ins,
        cells=[replace(cell, problems=_part(cell.problems, total, few)) for cell in cells],
        seed=config.seed,
        trees=config.trees,
    )
    with tempfile.TemporaryDirectory() as folder:
        seconds, requests, busy, simulated = clock.run(
            _simulate(config, plan, fleet, Writer(step_tokens=step_tokens), Path(folder))
        )
    times = total / few
    most = max(busy.values())
    whole = most * seconds * times + (1 - most) * seconds
    gpus = sum(machines.gpus for machines in fleet.values())
    loads = []
    for name, machines in fleet.items():
        engines = [simulated.replicas[each].engine for each in simulated.names(name)]
        loads.append(
            Load(
                endpoint=name,
                machines=machines.description,
                gpus=machines.gpus,
                busy=round(min(1.0, busy[name] * seconds * times / whole), 3),
                read_tokens=round(times * sum(each.counts.prompt_tokens for each in engines)),
                cached_tokens=round(times * sum(each.cache.hits for each in engines)),
                generated_tokens=round(
                    times * sum(each.counts.generated_tokens for each in engines)
                ),
            )
        )
    busiest = max(loads, key=lambda load: load.busy)
    gpu_hours = gpus * whole / 3600
    return Forecast(
        problems=total,
        simulated=few,
        hours=round(whole / 3600, 4),
        gpu_hours=round(gpu_hours, 3),
        dollars=None if gpu_hour is None else round(gpu_hours * gpu_hour, 2),
        requests=round(times * requests),
        bottleneck=busiest.endpoint if busiest.busy >= 0.5 else None,
        loads=tuple(loads),
    )


def _check(config: RunConfig, cells: Sequence[Cell], fleet: Mapping[str, Machines]) -> None:
    used = [cell.policy.name for cell in cells] + [cell.prm.name for cell in cells if cell.prm]
    wanted = list(dict.fromkeys(used))
    for name in fleet:
        if name not in wanted:
            raise ConfigError(f"--fleet: the run uses no {name!r}: {nearest(name, wanted)}")
    for name in wanted:
        if name not in fleet:
            raise ConfigError(
                f"--fleet says nothing of {name!r}: add `{name}=REPLICASxGPU:SIZE`, such as "
                f"{name}=2xH100:7B"
            )
        prm = config.prms.get(name)
        if prm is not None and prm.family not in (*POOLED, *BY_PREFIX):
            raise ConfigError(
                f"{name}: what a PRM of the family {prm.family} writes is not modelled: plan with "
                f"one of {', '.join((*POOLED, *BY_PREFIX))}"
            )


def _question(number: int) -> str:
    return f"Stand-in problem {number}: " + "as long as the questions of such a task are. " * 4


def _part(problems: int | None, total: int, few: int) -> int | None:
    return None if problems is None else max(1, math.ceil(min(problems, total) * few / total))


async def _simulate(
    config: RunConfig,
    plan: Plan,
    machines: Mapping[str, Machines],
    writer: Writer,
    folder: Path,
) -> tuple[float, int, dict[str, float], Fleet]:
    """Seconds, requests, and each endpoint's busy share, of the plan on a fleet."""
    endpoints: dict[str, PolicyConfig | PRMConfig] = {**config.policies, **config.prms}
    fleet = Fleet(
        [
            Service(
                model=name,
                role="policy" if name in config.policies else "prm",
                speed=each.speed,
                replicas=each.replicas,
                context=65_536,
                writer=writer,
                reads_cache=isinstance(prm := endpoints[name], PRMConfig)
                and prm.family in BY_PREFIX,
            )
            for name, each in machines.items()
        ]
    )
    async with AsyncExitStack() as stack:
        opened = {
            name: await stack.enter_async_context(
                Transport(
                    Endpoint(urls=urls(fleet, name), model=name),
                    SimulatedSender(fleet, timeout=1e9),
                )
            )
            for name in machines
        }
        ports = Ports(
            policies={
                name: TokenPolicy(opened[name], PROMPTS[each.prompt].messages)  # type: ignore[index]
                for name, each in config.policies.items()
                if name in opened
            },
            prms={
                name: QwenMathPRM(transport=opened[name]) for name in config.prms if name in opened
            },
            grader=await stack.enter_async_context(MathGrader()),
        )
        store = stack.enter_context(Store(folder))
        await Scheduler(plan, ports, store).run()
        seconds = asyncio.get_running_loop().time()
    busy = {
        name: sum(fleet.replicas[each].engine.counts.busy_s for each in fleet.names(name))
        / (seconds * each_fleet.replicas)
        for name, each_fleet in machines.items()
    }
    return seconds, fleet.delivered.requests, busy, fleet


def show(found: Forecast, step_tokens: float, console: Terminal) -> None:
    """The table, what it comes to, and what it rests on."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("endpoint", "fleet", "busy", "read", "cached", "generated"):
        table.add_column(title, justify="left" if title in ("endpoint", "fleet") else "right")
    for load in found.loads:
        table.add_row(
            load.endpoint,
            load.machines,
            f"{load.busy:.0%}",
            _count(load.read_tokens),
            _count(load.cached_tokens),
            _count(load.generated_tokens),
        )
    money = "" if found.dollars is None else f", ${found.dollars:,.2f}"
    held_up = (
        f"{found.bottleneck} holds it up"
        if found.bottleneck
        else "no GPU is busy for half of the time: more trees in flight, or fewer GPUs"
    )
    console.print(
        Group(
            table,
            "",
            f"{found.problems:,} problems: about {_time(found.hours)}, "
            f"{found.gpu_hours:,.2f} GPU hours{money}; {found.requests:,} requests; {held_up}.",
            f"An estimate: {found.simulated:,} stand-in problems in a model of the GPUs, steps of "
            f"{step_tokens:g} tokens, 9 steps a solution; a real fleet is within a factor of 2.",
        )
    )


def _count(tokens: int) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if tokens >= size:
            return f"{tokens / size:.1f}{letter}"
    return str(tokens)


def _time(hours: float) -> str:
    if hours >= 1:
        return f"{hours:.1f} hours"
    return f"{hours * 60:.0f} minutes" if hours >= 1 / 30 else f"{hours * 3600:.0f} seconds"
