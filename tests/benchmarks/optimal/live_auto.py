"""Auto run for real, every fold of the problems by the profile of the others: each problem by
itself, or all of a fold in one pool."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from orchestrator.commands.session import carry_out
from orchestrator.config.run import RunConfig
from orchestrator.console.terminal import Terminal
from orchestrator.core.ports import Sampling
from orchestrator.core.records import AUTO, Record
from orchestrator.optimal.profile import Profile
from orchestrator.optimal.profiling.crossfit import Spread, cross_fitted, folds, without
from orchestrator.optimal.profiling.fitting import PILOTS, profile_of
from orchestrator.optimal.routing.routed import Routing, SeparateRouting
from orchestrator.optimal.routing.router import ProfileRouter
from orchestrator.optimal.shared_budget.caps import Amount
from orchestrator.optimal.shared_budget.marginal_gain import PooledRouting
from orchestrator.optimal.shared_budget.pool import Pool
from orchestrator.runs.plan import Cell
from orchestrator.storage.run_directory import RunDirectory
from orchestrator.storage.store import read_records
from orchestrator.strategies import Auto
from orchestrator.wiring.experiment import Experiment
from tests.benchmarks.optimal.fixed_strategies import best_off_fold
from tests.benchmarks.optimal.measured_pairs import GOOD_PRM, Pair, interval, rounded


class Live(NamedTuple):
    """By problem, whether auto was right and the tokens of policy and PRM that it took."""

    right: NDArray[np.float64]
    tokens: NDArray[np.float64]


Route = Callable[[Pair, Profile, list[int]], tuple[Auto, Routing]]
"""How the problems of a fold, by their positions, are routed by the profile of the others."""


def by_itself(n: int, spread: Spread = "average") -> Route:
    """Each problem by itself, the budget being what best-of-``n`` takes."""

    def route(pair: Pair, profile: Profile, held_out: list[int]) -> tuple[Auto, Routing]:
        budget = pair.budget(n)
        router = ProfileRouter(profile, budget, spread=spread)
        auto = Auto(profile=profile.digest, budget=round(budget, 1), spread=spread)
        return auto, SeparateRouting(router=router, sampling=_sampling(profile))

    return route


def pooled(rivals: Mapping[str, Live]) -> Route:
    """All problems of a fold in one pool, its cap being what a rival took on them."""

    def route(pair: Pair, profile: Profile, held_out: list[int]) -> tuple[Auto, Routing]:
        cap = float(rivals[pair.name].tokens[held_out].sum())
        auto = Auto(profile=profile.digest, budget=cap, pool=True)
        return auto, PooledRouting(profile, Pool(Amount(cap)), "tokens", _sampling(profile))

    return route


def _sampling(profile: Profile) -> Sampling:
    return Sampling(**profile.sampling, until="end")


def _live(records: Sequence[Record]) -> Live:
    return Live(
        np.array([float(bool(each.verdicts[AUTO].correct)) for each in records]),
        np.array([float(each.policy_tokens + each.prm_tokens) for each in records]),
    )


class LiveRuns:
    """Runs in directories of their own under ``folder``; what is there already is not run again."""

    def __init__(
        self, config: RunConfig, pairs: Sequence[Pair], folder: Path, console: Terminal
    ) -> None:
        self._folder, self._console = folder, console
        self._experiment = Experiment.of(config)
        self._pairs = pairs
        self._folds = folds(len(pairs[0].trials.problems))
        self._profiles = {
            pair.name: [
                profile_of(without(pair.trials, held_out), pair.sample, PILOTS, "live")
                for held_out in self._folds
            ]
            for pair in pairs
        }

    def run(self, name: str, route: Route, only: Sequence[str] = ()) -> dict[str, Live]:
        """What came of a way of routing, by the pair, of those that are named or of all."""
        ids = self._pairs[0].trials.problems
        pairs = [pair for pair in self._pairs if not only or pair.name in only]
        wanted: dict[str, str] = {}
        folder = self._folder / name
        with RunDirectory(folder) as directory, directory.journaled():
            for fold, held_out in enumerate(self._folds):
                cells = {pair.name: self._cell(pair, fold, route) for pair in pairs}
                wanted |= {cell.id: pair for pair, cell in cells.items()}
                inside = {ids[i] for i in held_out}
                part = replace(
                    self._experiment.plan,
                    problems=[each for each in self._experiment.problems if each.id in inside],
                    cells=list(cells.values()),
                )
                carry_out(self._experiment, part, directory, self._console, lambda: "Stopped.")
        found = {
            (wanted[each.cell], each.problem): each
            for each in read_records(folder)
            if each.cell in wanted
        }
        return {pair.name: _live([found[pair.name, each] for each in ids]) for pair in pairs}

    def _cell(self, pair: Pair, fold: int, route: Route) -> Cell:
        models = {
            each.name: each
            for cell in self._experiment.cells
            for each in (cell.policy, cell.prm)
            if each
        }
        auto, routing = route(pair, self._profiles[pair.name][fold], self._folds[fold])
        return Cell(
            task=self._experiment.cells[0].task,
            policies=(models[pair.policy.name],),
            prms=(models[pair.prm.name],),
            strategy_name="auto",
            strategy=auto,
            routing=routing,
        )


def live_outcome(pair: Pair, live: Live) -> dict[str, Any]:
    """What came of routing at the tokens of best-of-16, beside what the trials foretold."""
    (foretold,) = cross_fitted(pair.trials, [pair.budget(16)], pilots=PILOTS)
    fixed = best_off_fold(pair.fixed, float(live.tokens.mean())).right
    return {
        **came_to(live),
        "foretold": rounded(foretold.right.mean()),
        "foretold_tokens": round(float(foretold.tokens.mean())),
        "minus_best_fixed": interval(live.right, fixed),
    }


def pool_live(runs: LiveRuns, pairs: Sequence[Pair]) -> dict[str, Any]:
    """A pool for each fold against equal budgets for each problem, at the tokens of the latter."""
    good = [pair.name for pair in pairs if pair.prm.name == GOOD_PRM]
    found: dict[str, dict[str, Any]] = {name: {} for name in good}
    for n in (8, 16):
        each = runs.run(f"each-{n}", by_itself(n, "each"), good)
        average = runs.run(f"average-{n}", by_itself(n), good)
        pool = runs.run(f"pool-{n}", pooled(each), good)
        for name in good:
            found[name][str(n)] = {
                "each": came_to(each[name]),
                "average": came_to(average[name]),
                "pool": came_to(pool[name]),
                "pool_minus_each": interval(pool[name].right, each[name].right),
                "pool_minus_average": interval(pool[name].right, average[name].right),
            }
    return found


def came_to(live: Live) -> dict[str, float]:
    return {"accuracy": rounded(live.right.mean()), "tokens": round(float(live.tokens.mean()))}
