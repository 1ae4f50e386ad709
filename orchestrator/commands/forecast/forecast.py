"""Estimate a run on a fleet that need not exist: hours, tokens, money and the bottleneck.

The run's own strategies, scheduler and dispatcher run in virtual time against a model of the GPUs
(``servers.simulated``) on stand-in problems; what more problems would take is added in proportion.
Hosted models are no part of the fleet: they cost by the token, and answer at a usual pace.
"""

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from orchestrator.commands.forecast.machines import Machines, machines_of
from orchestrator.commands.forecast.simulated_run import simulate
from orchestrator.config.run import RunConfig
from orchestrator.console.terminal import Terminal
from orchestrator.core.budget import Price, Spend
from orchestrator.core.problem import Problem
from orchestrator.runs.plan import Cell, Plan
from orchestrator.wiring.prices import priced
from orchestrator.wiring.prices import prices as prices_of
from orchestrator.wiring.problem_sets import problems as problems_of
from servers.simulated import clock
from servers.simulated.fleet import Fleet
from servers.simulated.solutions import Writer

UNCERTAINTY = 2.0
"""A real fleet takes between an estimate by this and an estimate times this: 1.5 for the model of
the GPUs (see ``servers.simulated.hardware``), the rest for lengths of steps and solutions."""


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
class BudgetEnd:
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
    stop: BudgetEnd | None
    loads: tuple[Load, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


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
    cells = priced(config.all_cells, prices)
    machines = machines_of(config, cells, fleet)
    total = problems or len(problems_of(config.task))
    # fewer than are in flight at once would never fill the batches that the run fills
    few = min(total, sample or max(64, min(2 * config.trees, 256)))
    plan = _on_stand_ins(config, cells, total, few)
    writer = Writer(step_tokens=step_tokens)
    with tempfile.TemporaryDirectory() as folder:
        took = clock.run(simulate(config, plan, machines, writer, Path(folder), console))
    computing = {name: _computing(each, took.fleet) for name, each in machines.items()}
    trees = sum(min(total, cell.problems or total) for cell in cells)
    seconds = took.scaled(trees, config.trees, max(computing.values()))
    times = total / few
    loads = tuple(
        _load(each, took.fleet, times, computing[name] * times / seconds, prices.get(name))
        for name, each in machines.items()
    )
    gpu_hours = sum(each.gpus for each in machines.values()) * seconds / 3600
    hosted = [load.dollars for load in loads if load.dollars is not None]
    dollars = hosted if gpu_hour is None else [*hosted, gpu_hours * gpu_hour]
    busiest = max(loads, key=lambda load: load.busy or 0.0)
    hours = seconds / 3600
    return Forecast(
        problems=total,
        simulated=few,
        hours=round(hours, 4),
        hours_range=(round(hours / UNCERTAINTY, 4), round(hours * UNCERTAINTY, 4)),
        gpu_hours=round(gpu_hours, 3),
        dollars=round(sum(dollars), 2) if dollars else None,
        requests=round(times * took.fleet.delivered.requests),
        bottleneck=busiest.endpoint if busiest.busy and busiest.busy >= 0.5 else None,
        stop=_budget_end(config, took.spent, times, seconds, sum(hosted)),
        loads=loads,
    )


def _on_stand_ins(config: RunConfig, cells: Sequence[Cell], total: int, few: int) -> Plan:
    """The cells on ``few`` stand-in problems, each cell on its part of them."""
    problems = [Problem(id=f"stand-in-{i}", question=_question(i), answer="0") for i in range(few)]
    return Plan(
        problems=problems,
        cells=[replace(cell, problems=_part(cell.problems, total, few)) for cell in cells],
        seed=config.seed,
        trees=config.trees,
        problem_limits=config.problem_budget.limits(),
    )


def _computing(machines: Machines, simulated: Fleet) -> float:
    """Seconds that one replica of an endpoint computed."""
    names = simulated.names(machines.endpoint)
    busy = sum(simulated.replicas[name].engine.counts.busy_s for name in names)
    return busy / machines.replicas


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


def _budget_end(
    config: RunConfig, spent: Spend, times: float, seconds: float, cost: float
) -> BudgetEnd | None:
    """Which limit of the run's budget is met first, if the run needs more than it."""
    needed = {
        "tokens": times * spent.tokens,
        "policy_tokens": times * spent.policy_tokens,
        "prm_tokens": times * spent.prm_tokens,
        "requests": times * spent.requests,
        "cost": cost,
        "seconds": seconds,
    }
    limits = {name: allowed for name, allowed in config.budget if allowed is not None}
    met = [
        BudgetEnd(limit=name, allowed=allowed, share=round(allowed / needed[name], 3))
        for name, allowed in limits.items()
        if needed[name] > allowed
    ]
    return min(met, key=lambda stop: stop.share, default=None)


def _question(number: int) -> str:
    return f"Stand-in problem {number}: " + "as long as the questions of such a task are. " * 4


def _part(problems: int | None, total: int, few: int) -> int | None:
    return None if problems is None else max(1, math.ceil(min(problems, total) * few / total))
