"""Where ``strategy: auto`` sent the problems, by their predicted difficulty."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TypedDict

from orchestrator.core.difficulty import BINS
from orchestrator.core.records import AUTO, Route
from orchestrator.report.data.cells import CellRecords
from orchestrator.report.data.subsets import SubsetResult, result_of
from orchestrator.report.data.use import used


class Way(SubsetResult):
    """The problems of a bin that got the same strategy, settings and vote.

    ``rule`` names what chose them; ``predicted`` is the mean of their predicted pass@1.
    """

    predicted: float
    strategy: str
    settings: dict[str, object]
    vote: str
    rule: str


class RoutedBin(SubsetResult):
    """The problems of a predicted bin, by the ``ways`` they were solved, the most common first.

    ``predicted`` is the mean of their predicted pass@1.
    """

    predicted: float
    ways: list[Way]


class PoolUse(TypedDict):
    """What a cell's problems ``used`` of their pool's cap, in its unit (None in seconds).

    ``cut`` counts the problems that the cap stopped, ``unanswered`` those without an answer.
    """

    used: float | None
    cut: int
    unanswered: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CellRoutes:
    """The routes of one cell by predicted bin, and what its shared ``pool`` used."""

    task: str
    cell: str
    policy: str
    policy_params: int | None
    prm: str | None
    settings: dict[str, object]
    bins: dict[str, RoutedBin]
    pool: PoolUse | None = None


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
                )
            )
    return tuple(found)


def _pool(cell: CellRecords) -> PoolUse:
    records = cell.records.values()
    cut = [record for record in records if record.is_cut]
    return PoolUse(
        used=used(records, str(cell.sample.settings["unit"])),
        cut=len(cut),
        unanswered=sum(record.verdicts[AUTO].answer is None for record in cut),
    )


def _bins(cell: CellRecords, routes: dict[str, Route]) -> dict[str, RoutedBin]:
    correct = cell.correct(AUTO)
    found: dict[str, RoutedBin] = {}
    for bin in BINS:
        own = [problem for problem, route in routes.items() if route.bin == bin]
        if own:
            ways = [
                Way(
                    **result_of(cell, correct, problems),
                    predicted=fmean(routes[problem].predicted for problem in problems),
                    strategy=(route := routes[problems[0]]).strategy,
                    settings=route.settings,
                    vote=route.vote,
                    rule=route.rule,
                )
                for problems in _by_way(own, routes)
            ]
            found[bin] = RoutedBin(
                **result_of(cell, correct, own),
                predicted=fmean(routes[problem].predicted for problem in own),
                ways=ways,
            )
    return found


def _by_way(problems: Sequence[str], routes: dict[str, Route]) -> list[list[str]]:
    groups: dict[tuple[str, ...], list[str]] = {}
    for problem in problems:
        route = routes[problem]
        settings = json.dumps(route.settings, sort_keys=True)
        groups.setdefault((route.strategy, settings, route.vote, route.rule), []).append(problem)
    return sorted(groups.values(), key=len, reverse=True)
