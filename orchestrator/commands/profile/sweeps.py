"""The cells that measure a config's profiles, for each policy and PRM, or policy without one."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.config.cells import CellsConfig
from orchestrator.config.run import RunConfig
from orchestrator.errors import ProfileError
from orchestrator.optimal.profiling.fitting import PILOTS
from orchestrator.runs.plan import Cell
from orchestrator.strategies.building import build
from orchestrator.strategies.traits import traits

SAMPLES = 64
"""Default number of samples per problem."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """What is measured of one policy and PRM, or of a policy that has none: the greedy solution,
    independent samples and tree searches."""

    greedy: Cell
    samples: Cell
    trees: tuple[Cell, ...]

    @property
    def cells(self) -> list[Cell]:
        return [self.greedy, self.samples, *self.trees]

    @property
    def paths(self) -> int:
        """The most solutions per problem."""
        return sum(cell.strategy.n for cell in self.cells)


def sweeps(config: RunConfig, cells: Sequence[Cell]) -> list[Sweep]:
    """A sweep for each policy and PRM of ``cells``, and for each policy without a PRM, with the
    greedy and sample cells that a profile needs. Only the largest number of samples is run: smaller
    ones, and votes without the PRM, are read off it.

    Raises ``ProfileError`` if every cell is one of ``auto``.
    """
    by_models: dict[tuple[str, str | None], list[Cell]] = defaultdict(list)
    for cell in cells:
        if not traits(cell.strategy).auto:
            by_models[cell.policy.name, cell.prm.name if cell.prm else None].append(cell)
    scored = {policy for policy, prm in by_models if prm is not None}
    found = {
        models: own
        for models, own in by_models.items()
        if models[1] is not None or models[0] not in scored
    }
    if not found:
        raise ProfileError(
            "a profile measures the strategies of a config, and this one has cells of auto alone: "
            "add for example "
            "{policy: …, prm: …, strategy: [best_of_n, beam_search, dvts], n: [4, 16, 64]}"
        )
    most = max((cell.strategy.n for cell in cells), default=1)
    return [_sweep(own, most if most > 1 else SAMPLES) for own in found.values()]


def _sweep(cells: Sequence[Cell], n: int) -> Sweep:
    name = "majority" if cells[0].prm is None else "best_of_n"
    drawn = [each for each in cells if each.strategy_name == name and each.strategy.n > 1]
    most = max(drawn, key=lambda each: each.strategy.n, default=None)
    settings: dict[str, Any] = dict(most.settings) if most else {"n": max(n, 2 * PILOTS)}
    settings = {key: each for key, each in settings.items() if key not in ("stop", "then")}
    if settings["n"] < 2 * PILOTS:
        raise ProfileError(
            f"a profile needs at least {2 * PILOTS} samples of a problem: set the n of {name} "
            "to 64, for example"
        )
    settings.setdefault("logprobs", True)  # votes and the predictor read them, where they come
    greedy = {"question_logprob": True, **settings, "n": 1, "temperature": 0.0}
    samples = replace(
        cells[0],
        strategy_name=name,
        strategy=build(name, settings),
        problems=None,
    )
    return Sweep(
        greedy=replace(samples, strategy=build(name, greedy)),
        samples=samples,
        trees=tuple(
            replace(each, problems=None) for each in cells if not traits(each.strategy).first_draw
        ),
    )


def sweep_config(config: RunConfig, found: Iterable[Sweep]) -> RunConfig:
    """``config`` with the cells of its sweeps instead of its own. Its sweeps are the same."""
    cells = tuple(_as_config(cell) for each in found for cell in each.cells)
    return RunConfig.model_validate(dict(config) | {"cells": cells, "headline": None})


def _as_config(cell: Cell) -> CellsConfig:
    scored = {} if cell.prm is None else {"prm": cell.prm.name}
    return CellsConfig.model_validate(
        {
            "policy": cell.policy.name,
            **scored,
            "strategy": cell.strategy_name,
            **cell.settings,
        }
    )
