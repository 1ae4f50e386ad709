"""The cells of ``strategy: auto``: their profiles, read and checked against the run."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from orchestrator.config.reading import shipped_config
from orchestrator.core.ports import Sampling
from orchestrator.core.problem import Problem
from orchestrator.errors import ConfigError, ProfileError
from orchestrator.optimal.cascade.mixture import Mixture, by_dear_plan, within
from orchestrator.optimal.cascade.profile import (
    AcrossProfile,
    check_fits_across,
    is_across,
    read_across,
)
from orchestrator.optimal.profile import Profile, check_fits, read
from orchestrator.optimal.profiling.fitting import PILOTS
from orchestrator.optimal.routing.across import RoutingAcross
from orchestrator.optimal.routing.mixed import MixedRouting
from orchestrator.optimal.routing.routed import Routing, SeparateRouting
from orchestrator.optimal.routing.router import ProfileRouter, PublishedRouter
from orchestrator.optimal.shared_budget.caps import Amount, Seconds
from orchestrator.optimal.shared_budget.marginal_gain import PooledRouting
from orchestrator.optimal.shared_budget.pool import Pool
from orchestrator.report.data.wording import in_unit
from orchestrator.runs.plan import Cell
from orchestrator.strategies import Auto
from orchestrator.strategies.settings import WholeSolutions
from orchestrator.strategies.traits import traits


def routed(cells: Sequence[Cell], problems: Sequence[Problem]) -> list[Cell]:
    """Return ``cells`` with the routing of each ``auto`` cell set.

    Raises ``ProfileError`` if a profile cannot be read, is of another task or model, or was
    measured on some of ``problems``; ``ConfigError`` if its budget cannot be kept.
    """
    return [
        _routed(cell, auto, problems) if (auto := traits(cell.strategy).auto) else cell
        for cell in cells
    ]


def models_measured(profile: str) -> tuple[list[str], list[str]]:
    """The policies and PRMs that a profile was measured with. Raises ``ProfileError``."""
    path = _where(profile)
    if is_across(path):
        across = read_across(path)
        return [each.name for each in across.policies], [each.name for each in across.prms]
    alone = read(path)
    return [alone.policy.name], [alone.prm.name] if alone.prm else []


def _routed(cell: Cell, auto: Auto, problems: Sequence[Problem]) -> Cell:
    if auto.profile is None:
        whole = WholeSolutions()
        named = replace(auto, pilots=auto.pilots or PILOTS)
        rule = PublishedRouter(
            cell.task, cell.policy.parameters, auto.fallback_n, named.pilots or PILOTS
        )
        by_rule = SeparateRouting(router=rule, sampling=whole.sampling)
        return replace(cell, strategy=named, routing=by_rule)
    problems = problems[: cell.problems]
    if cell.spans_models or is_across(_where(auto.profile)):
        return _across(cell, auto, auto.profile, problems)
    profile = _checked(auto.profile, cell, problems)
    if auto.pilots not in (None, profile.pilots):
        raise ConfigError(
            f"auto: pilots = {auto.pilots}, and {auto.profile} goes by {profile.pilots}: leave "
            "`pilots` out"
        )
    named = replace(auto, profile=profile.digest, pilots=profile.pilots)
    routing = _routing(auto, profile, auto.profile, len(problems))
    return replace(cell, strategy=named, routing=routing)


def _across(cell: Cell, auto: Auto, source: str, problems: Sequence[Problem]) -> Cell:
    """``cell`` with the plans that its profile across models has for its budget."""
    auto.check_across()
    profile = read_across(_where(source))
    check_fits_across(
        profile,
        source=source,
        task=cell.task,
        policies=[each.name for each in cell.policies],
        prms=[each.name for each in cell.prms],
    )
    _check_other_problems(profile, cell.task, source, problems)
    assert auto.budget is not None
    models = [each.name for each in cell.models]
    mixture = within(profile, auto.budget, auto.unit, models)
    return replace(
        cell,
        strategy=replace(auto, profile=profile.digest, pilots=profile.pilots),
        across=_mixed(profile, mixture, [each.id for each in problems]),
    )


def _mixed(
    profile: AcrossProfile, mixture: Mixture, problems: Sequence[str]
) -> RoutingAcross | MixedRouting:
    """The routing of these problems, in their order, by a mixture of two plans or of one."""
    sampling = Sampling(**profile.sampling, until="end")
    dear = RoutingAcross(plan=profile.plan(mixture.dear), sampling=sampling)
    if not mixture.is_of_two:
        return dear
    cheap = replace(dear, plan=profile.plan(mixture.cheap), name="cheap")
    return MixedRouting(
        cheap=cheap,
        dear=replace(dear, name="dear"),
        dear_problems=by_dear_plan(problems, mixture.share, profile.digest),
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
    _check_other_problems(profile, cell.task, source, problems)
    return profile


def _check_other_problems(
    profile: Profile | AcrossProfile, task: str, source: str, problems: Sequence[Problem]
) -> None:
    """Raises ``ProfileError`` if a profile was measured on some of ``problems``."""
    overlap = profile.overlap(task, [problem.id for problem in problems])
    if overlap:
        raise ProfileError(
            f"{overlap} of the {len(problems)} problems of {task} are those that {source} was "
            "measured on, where it looks better than it is: take others (`task.skip`, or another "
            "`task.seed`), or measure another profile"
        )


def _where(source: str) -> Path:
    """The file of a profile: a path, or the name of a profile that ships with Orchard."""
    try:
        return Path(source) if Path(source).exists() else shipped_config(f"profiles/{source}.yaml")
    except ConfigError:
        return Path(source)


def _routing(auto: Auto, profile: Profile, source: str, problems: int) -> Routing:
    assert auto.budget is not None
    if auto.unit == "cost" and not any(
        each.use.cost for arm in profile.arms for each in arm.bins.values()
    ):
        raise ConfigError(
            f"auto has a budget of cost, and {source} was measured on models without a price: "
            "name `unit: tokens`, or measure it with prices"
        )
    votes_by_confidence = any(each.arm.settings.get("logprobs") for each in profile.arms)
    sampling = Sampling(**profile.sampling, until="end", logprobs=votes_by_confidence)
    if not auto.pool:
        router = ProfileRouter(profile, auto.budget, unit=auto.unit, spread=auto.spread)
        return SeparateRouting(router=router, sampling=sampling)
    cap = Seconds(auto.budget) if auto.unit == "seconds" else Amount(auto.budget)
    pooled = PooledRouting(profile, Pool(cap), auto.unit, sampling)
    least = problems * pooled.least
    if auto.unit != "seconds" and auto.budget < least:
        raise ConfigError(
            f"a pool of {in_unit(auto.budget, auto.unit)} is less than the pilots of its "
            f"{problems:,} problems take, about {in_unit(_rounded_up(least), auto.unit)}: raise "
            "`budget`, which is one for all of them, or take fewer `problems`"
        )
    return pooled


def _rounded_up(amount: float) -> float:
    """Round up to two digits, so that the proposed budget is enough however it is formatted."""
    digit = 10.0 ** (math.floor(math.log10(amount)) - 1)
    return math.ceil(amount / digit) * digit
