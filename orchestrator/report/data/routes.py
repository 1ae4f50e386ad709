"""Where ``strategy: auto`` sent the problems, by their predicted difficulty."""

import json
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import TypedDict, get_args

from orchestrator.core.compute import total_flops
from orchestrator.core.difficulty import BINS
from orchestrator.core.records import ALL, AUTO, ModelUse, PlanName, Route
from orchestrator.report.data.cells import CellRecords
from orchestrator.report.data.subsets import SubsetResult, result_of
from orchestrator.report.data.use import used


class LookAt(TypedDict):
    """A look: so many ``pilots`` of a policy, scored by a PRM or unscored."""

    policy: str
    prm: str | None
    pilots: int


class Way(SubsetResult):
    """The problems of a bin that got the same strategy, settings and vote, of a ``policy`` under a
    ``prm``, after the same ``looks``; ``direct``: by a search without pilots.

    ``rule`` names what chose them; ``predicted`` is the mean of their predicted pass@1, None where
    nobody looked.
    """

    policy: str
    prm: str | None
    looks: list[LookAt]
    direct: bool
    predicted: float | None
    strategy: str
    settings: dict[str, object]
    vote: str
    rule: str


class RoutedBin(SubsetResult):
    """The problems of a predicted bin, by the ``ways`` they were solved, the most common first.

    ``predicted`` is the mean of their predicted pass@1.
    """

    predicted: float | None
    ways: list[Way]


class ModelShare(TypedDict):
    """One model of a cell across models: the ``problems`` it was used for, those it ``answered``
    (a policy), and its means per problem of the cell: ``tokens`` it wrote, or read as a PRM."""

    problems: int
    answered: int | None
    tokens: float
    flops: float | None
    cost: float
    seconds: float


class PoolUse(TypedDict):
    """What a cell's problems ``used`` of their pool's cap, in its unit (None in seconds).

    ``cut`` counts the problems that the cap stopped, ``unanswered`` those without an answer.
    """

    used: float | None
    cut: int
    unanswered: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CellRoutes:
    """The routes of one cell by predicted bin, and what its shared ``pool`` used. ``models`` has
    the part of each model of a cell across models. Where its budget mixes two plans, ``plans``
    counts the problems that went by each."""

    task: str
    cell: str
    policy: str
    policy_params: int | None
    prm: str | None
    settings: dict[str, object]
    bins: dict[str, RoutedBin]
    pool: PoolUse | None = None
    models: dict[str, ModelShare] = field(default_factory=dict)
    plans: dict[str, int] = field(default_factory=dict)


def routes_of(cells: Iterable[CellRecords]) -> tuple[CellRoutes, ...]:
    """The routes of each cell that has routed problems."""
    found = []
    for cell in cells:
        routes = {each.problem: each.route for each in cell.records.values() if each.route}
        if routes:
            first = cell.sample
            found.append(
                CellRoutes(
                    task=first.task,
                    cell=cell.id,
                    policy=first.policy,
                    policy_params=first.policy_params,
                    prm=first.prm,
                    settings=first.settings,
                    bins=_bins(cell, routes),
                    pool=_pool(cell) if first.settings.get("pool") else None,
                    models=_models(cell),
                    plans=_plans(routes.values()),
                )
            )
    return tuple(found)


def _plans(routes: Iterable[Route]) -> dict[str, int]:
    counts = Counter(route.plan for route in routes)
    return {name: counts[name] for name in get_args(PlanName) if name in counts}


def _pool(cell: CellRecords) -> PoolUse:
    records = cell.records.values()
    cut = [record for record in records if record.is_cut]
    return PoolUse(
        used=used(records, str(cell.sample.settings["unit"])),
        cut=len(cut),
        unanswered=sum(record.verdicts[AUTO].answer is None for record in cut),
    )


def _models(cell: CellRecords) -> dict[str, ModelShare]:
    records = list(cell.records.values())
    return {
        name: _share([each.models[name] for each in records if name in each.models], len(records))
        for name in dict.fromkeys(name for record in records for name in record.models)
    }


def _share(used: Sequence[ModelUse], problems: int) -> ModelShare:
    flops = total_flops(use.flops for use in used)
    is_prm = any(use.prm_tokens for use in used)
    return ModelShare(
        problems=sum(not use.is_none for use in used),
        answered=None if is_prm else sum(use.answered for use in used),
        tokens=sum(use.policy_tokens + use.prm_tokens for use in used) / problems,
        flops=None if flops is None else flops.total / problems,
        cost=sum(use.cost for use in used) / problems,
        seconds=sum(use.seconds for use in used) / problems,
    )


def _bins(cell: CellRecords, routes: dict[str, Route]) -> dict[str, RoutedBin]:
    correct = cell.correct(AUTO)
    found: dict[str, RoutedBin] = {}
    for bin in (*BINS, ALL):
        own = [problem for problem, route in routes.items() if route.bin == bin]
        if own:
            ways = [
                Way(
                    **result_of(cell, correct, problems),
                    predicted=_mean(routes[problem].predicted for problem in problems),
                    policy=(route := routes[problems[0]]).policy or cell.sample.policy,
                    prm=route.prm if route.policy else cell.sample.prm,
                    looks=[
                        LookAt(policy=look.policy, prm=look.prm, pilots=look.pilots)
                        for look in route.looks
                    ],
                    direct=route.direct,
                    strategy=route.strategy,
                    settings=route.settings,
                    vote=route.vote,
                    rule=route.rule,
                )
                for problems in _by_way(own, routes)
            ]
            found[bin] = RoutedBin(
                **result_of(cell, correct, own),
                predicted=_mean(routes[problem].predicted for problem in own),
                ways=ways,
            )
    return found


def _mean(predicted: Iterable[float | None]) -> float | None:
    known = [each for each in predicted if each is not None]
    return fmean(known) if known else None


def _by_way(problems: Sequence[str], routes: dict[str, Route]) -> list[list[str]]:
    groups: dict[Hashable, list[str]] = {}
    for problem in problems:
        route = routes[problem]
        settings = json.dumps(route.settings, sort_keys=True)
        looks = tuple((look.policy, look.prm, look.pilots) for look in route.looks)
        models = route.policy, route.prm, looks, route.direct
        way = (route.strategy, settings, route.vote, route.rule, models)
        groups.setdefault(way, []).append(problem)
    return sorted(groups.values(), key=len, reverse=True)
