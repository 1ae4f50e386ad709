"""The cells of ``strategy: auto``: their profiles, read and checked against the run."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from orchestrator.core.ports import Sampling
from orchestrator.core.problem import Problem
from orchestrator.errors import ConfigError, ProfileError
from orchestrator.optimal.profile import Profile, check_fits, read
from orchestrator.optimal.routed import Routing
from orchestrator.optimal.router import PooledRouter, ProfileRouter, PublishedRouter, Router
from orchestrator.reading import shipped_config
from orchestrator.runs.plan import Cell
from orchestrator.strategies import Auto
from orchestrator.strategies.settings import WholeSolutions


def routed(cells: Sequence[Cell], problems: Sequence[Problem]) -> list[Cell]:
    """The same cells, those of ``auto`` with their routing.

    Raises ``ProfileError`` where a profile cannot be read, is of something else or was measured on
    the problems it is to be judged on, and ``ConfigError`` where its budget cannot be kept.
    """
    return [
        _routed(cell, cell.strategy, problems) if isinstance(cell.strategy, Auto) else cell
        for cell in cells
    ]


def _routed(cell: Cell, auto: Auto, problems: Sequence[Problem]) -> Cell:
    if auto.profile is None:
        whole = WholeSolutions()
        router: Router = PublishedRouter(
            cell.task, cell.policy.parameters, auto.fallback_n, auto.pilots
        )
        return replace(cell, routing=Routing(router=router, sampling=whole.sampling))
    profile = _checked(auto.profile, cell, problems[: cell.problems])
    named = replace(auto, profile=profile.digest, pilots=profile.pilots)
    sampling = Sampling(**profile.sampling, until="end")
    return replace(
        cell,
        strategy=named,
        routing=Routing(router=_router(auto, profile, cell, problems), sampling=sampling),
    )


def _checked(source: str, cell: Cell, problems: Sequence[Problem]) -> Profile:
    profile = read(_where(source))
    check_fits(
        profile,
        source=source,
        task=cell.task,
        policy=cell.policy.name,
        prm=cell.prm.name if cell.prm else None,
    )
    overlap = profile.overlap(cell.task, [problem.id for problem in problems])
    if overlap:
        raise ProfileError(
            f"{overlap} of the {len(problems)} problems of {cell.task} are those that {source} was "
            "measured on, where it looks better than it is: take others (another `task.seed` or "
            "part of the set), or measure another profile"
        )
    return profile


def _where(source: str) -> Path:
    """A profile's file: where the config says, or among those that come with Orchard, by name."""
    try:
        return Path(source) if Path(source).exists() else shipped_config(f"profiles/{source}.yaml")
    except ConfigError:
        return Path(source)


def _router(auto: Auto, profile: Profile, cell: Cell, problems: Sequence[Problem]) -> Router:
    assert auto.budget is not None
    if auto.unit == "cost" and not any(
        arm.bins[bin].use.cost for arm in profile.arms for bin in arm.bins
    ):
        raise ConfigError(
            "auto has a budget of cost, and its profile was measured on models without a price: "
            "name `unit: tokens`, or measure it with prices"
        )
    router = ProfileRouter(profile, auto.budget, unit=auto.unit, spread=auto.spread)
    if not auto.pool:
        return router
    count = len(problems[: cell.problems])
    return PooledRouter(router, auto.budget * count, count)
