"""What a run would take on a fleet one does not have: hours, tokens, money, and what holds it up.

The run's own strategies, scheduler and dispatcher run in virtual time against a model of the GPUs
(``servers.simulated``) on stand-in problems; what more problems would take is added in proportion.
Hosted models are no part of the fleet: they cost by the token, and answer at a usual pace.
"""

import asyncio
import math
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from orchestrator.compose import prices as prices_of
from orchestrator.config import RunConfig
from orchestrator.core.budget import Price, Spend
from orchestrator.core.problem import Problem
from orchestrator.core.records import Record
from orchestrator.endpoint_config import PolicyConfig, PRMConfig
from orchestrator.endpoints.policy import TokenPolicy
from orchestrator.endpoints.prm import QwenMathPRM
from orchestrator.endpoints.transport import Endpoint, Transport
from orchestrator.errors import ConfigError
from orchestrator.problem_sets import problems as problems_of
from orchestrator.progress import Counting
from orchestrator.reading import read
from orchestrator.runs.plan import Cell, Plan, Ports
from orchestrator.runs.scheduler import Scheduler
from orchestrator.runs.store import Store
from orchestrator.sections import nearest
from orchestrator.simulation import SimulatedSender, urls
from orchestrator.strategies import Auto
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

UNCERTAINTY = 2.0
"""A real fleet takes between an estimate by this and an estimate times this: 1.5 for the model of
the GPUs (see ``servers.simulated.hardware``), the rest for lengths of steps and solutions."""

HOSTED = "hosted"

_HOSTED_SPEED = Speed(
    iteration_s=1 / 60, sequence_s=0.0, weights_s=0.0, token_s=1e-6, kv_s=0.0,
    kv_tokens=10**12, max_seqs=10**6, max_batched_tokens=10**9,
)  # fmt: skip
"""60 tokens/s to each of any number of requests."""


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
    (0 to 1), None without GPUs; tokens count those read, cached ones apart, and those generated.
    ``dollars`` are the tokens' price, None where none is known."""

    endpoint: str
    machines: str
    gpus: int
    busy: float | None
    read_tokens: int
    cached_tokens: int
    generated_tokens: int
    dollars: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """The limit of a run's budget that ends it first, after about this ``share`` of it."""

    limit: str
    allowed: float
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """An estimate of the whole run; ``stop`` is where its budget ends it, if it does.

    ``simulated`` of ``problems`` were simulated. ``hours`` may as well be anything within
    ``hours_range``. ``bottleneck`` is the endpoint whose GPUs are busiest, None where none is busy
    for half of the time. ``dollars`` are GPU hours' and hosted tokens', None without a price.
    """

    problems: int
    simulated: int
    hours: float
    hours_range: tuple[float, float]
    gpu_hours: float
    dollars: float | None
    requests: int
    bottleneck: str | None
    stop: Stop | None
    loads: tuple[Load, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def read_fleet(text: str) -> dict[str, Machines]:
    """``policy=8xH100:1B,prm=2xH100:7B``, or a YAML file that maps the same names to the same.

    Raises ``ConfigError``.
    """
    path = Path(text)
    if not text.strip():
        entries = []
    elif "=" not in text or path.exists():
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
    console: Terminal | None = None,
) -> Forecast:
    """Estimate a run. ``problems`` are the task's unless given, ``sample`` of them are simulated,
    steps have so many tokens on average, and a GPU costs ``gpu_hour`` dollars an hour. ``console``
    shows how far it is.

    Raises ``ConfigError`` where the fleet does not fit the config, and ``TaskError``.
    """
    prices = prices_of(config)
    cells = config.build_cells(prices)
    _check(config, cells, fleet)
    machines = {**fleet, **_hosted(config, cells)}
    total = problems or len(problems_of(config))
    # fewer than are in flight at once would never fill the batches that the run fills
    few = min(total, sample or max(64, min(2 * config.trees, 256)))
    stand_ins = [Problem(id=f"stand-in-{i}", question=_question(i), answer="0") for i in range(few)]
    plan = Plan(
        problems=stand_ins,
        cells=[replace(cell, problems=_part(cell.problems, total, few)) for cell in cells],
        seed=config.seed,
        trees=config.trees,
        problem_limits=config.problem_budget.limits(),
    )
    with tempfile.TemporaryDirectory() as folder:
        took = clock.run(
            _simulate(
                config, plan, machines, Writer(step_tokens=step_tokens), Path(folder), console
            )
        )
    times, simulated = total / few, took.fleet
    computing = {  # seconds of one of its replicas
        name: sum(simulated.replicas[each].engine.counts.busy_s for each in simulated.names(name))
        / each_fleet.replicas
        for name, each_fleet in machines.items()
    }
    trees = sum(min(total, cell.problems or total) for cell in cells)
    whole = took.scaled(trees, config.trees, max(computing.values()))
    gpus = sum(each.gpus for each in machines.values())
    loads = tuple(
        _load(each, simulated, times, computing[name] * times / whole, prices.get(name))
        for name, each in machines.items()
    )
    busiest = max(loads, key=lambda load: load.busy or 0.0)
    gpu_hours = gpus * whole / 3600
    paid = [load.dollars for load in loads if load.dollars is not None]
    paid += [] if gpu_hour is None else [gpu_hours * gpu_hour]
    return Forecast(
        problems=total,
        simulated=few,
        hours=round(whole / 3600, 4),
        hours_range=(
            round(whole / 3600 / UNCERTAINTY, 4),
            round(whole / 3600 * UNCERTAINTY, 4),
        ),
        gpu_hours=round(gpu_hours, 3),
        dollars=round(sum(paid), 2) if paid else None,
        requests=round(times * simulated.delivered.requests),
        bottleneck=busiest.endpoint if busiest.busy and busiest.busy >= 0.5 else None,
        stop=_stop(config, took.spent, times, whole, sum(load.dollars or 0.0 for load in loads)),
        loads=loads,
    )


def _load(
    machines: Machines, simulated: Fleet, times: float, busy: float, price: Price | None
) -> Load:
    engines = [simulated.replicas[each].engine for each in simulated.names(machines.endpoint)]
    read = times * sum(each.counts.prompt_tokens for each in engines)
    cached = times * sum(each.cache.hits for each in engines)
    generated = times * sum(each.counts.generated_tokens for each in engines)
    dollars = None
    if price is not None:
        dollars = price.cost(
            prompt_tokens=round(read + cached),
            cached_tokens=round(cached),
            written_tokens=round(generated),
        )
    return Load(
        endpoint=machines.endpoint,
        machines=machines.description,
        gpus=machines.gpus,
        busy=round(min(1.0, busy), 3) if machines.gpus else None,
        read_tokens=round(read),
        cached_tokens=round(cached),
        generated_tokens=round(generated),
        dollars=None if dollars is None else round(dollars, 2),
    )


def _stop(
    config: RunConfig, spent: Spend, times: float, seconds: float, cost: float
) -> Stop | None:
    """Which limit of the run's budget is met first, if the run needs more than it."""
    needed = {
        "policy_tokens": times * spent.policy_tokens,
        "prm_tokens": times * spent.prm_tokens,
        "requests": times * spent.requests,
        "cost": cost,
        "seconds": seconds,
    }
    limits = {name: allowed for name, allowed in config.budget if allowed is not None}
    met = [
        Stop(limit=name, allowed=allowed, share=round(allowed / needed[name], 3))
        for name, allowed in limits.items()
        if needed[name] > allowed
    ]
    return min(met, key=lambda stop: stop.share, default=None)


def _used(cells: Sequence[Cell]) -> list[str]:
    names = [cell.policy.name for cell in cells] + [cell.prm.name for cell in cells if cell.prm]
    return list(dict.fromkeys(names))


def _hosted(config: RunConfig, cells: Sequence[Cell]) -> dict[str, Machines]:
    """The policies that a run asks of a cloud."""
    return {
        name: Machines(endpoint=name, description=HOSTED, replicas=1, gpus=0, speed=_HOSTED_SPEED)
        for name in _used(cells)
        if name in config.policies and config.policies[name].hosted
    }


def _check(config: RunConfig, cells: Sequence[Cell], fleet: Mapping[str, Machines]) -> None:
    if any(isinstance(cell.strategy, Auto) for cell in cells):
        raise ConfigError(
            "auto cannot be planned for, as what it does depends on the problems: leave its cells "
            "out, and plan the strategies that it chooses among"
        )
    hosted = _hosted(config, cells)
    wanted = [name for name in _used(cells) if name not in hosted]
    for name in fleet:
        if name in hosted:
            raise ConfigError(f"--fleet: {name} is a hosted model: leave it out")
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Took:
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


async def _simulate(
    config: RunConfig,
    plan: Plan,
    machines: Mapping[str, Machines],
    writer: Writer,
    folder: Path,
    console: Terminal | None,
) -> _Took:
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
        return _Took(
            trees=progress.total, seconds=loop.time(), full_s=full_s, spent=progress.spent,
            fleet=fleet,
        )  # fmt: skip
