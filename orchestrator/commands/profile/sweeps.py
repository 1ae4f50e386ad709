"""What a config's profiles are measured by: cells for each policy and PRM."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from orchestrator.config.cells import CellsConfig
from orchestrator.config.run import RunConfig
from orchestrator.errors import ProfileError
from orchestrator.optimal.profiling.fitting import PILOTS
from orchestrator.optimal.profiling.measuring import TREES
from orchestrator.runs.plan import Cell
from orchestrator.strategies import Auto, BestOfN

SAMPLES = 64
"""Samples of a problem where the config names no number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """What is measured of one policy and PRM: the greedy solution, independent samples and tree
    searches."""

    greedy: Cell
    samples: Cell
    trees: tuple[Cell, ...]

    @property
    def cells(self) -> list[Cell]:
        return [self.greedy, self.samples, *self.trees]

    @property
    def paths(self) -> int:
        """Solutions a problem, at most."""
        return sum(cell.strategy.n for cell in self.cells)


def sweeps(config: RunConfig, cells: Sequence[Cell]) -> list[Sweep]:
    """One for each policy and PRM of the config's ``cells``, with what a profile needs beside them.
    Small numbers of samples, and votes without the PRM, are told by the largest one.

    Raises ``ProfileError`` where no cell has a PRM.
    """
    by_pair: dict[tuple[str, str], list[Cell]] = defaultdict(list)
    for cell in cells:
        if cell.prm is not None and not isinstance(cell.strategy, Auto):
            by_pair[cell.policy.name, cell.prm.name].append(cell)
    if not by_pair:
        raise ProfileError(
            "a profile is of a policy and a PRM, and no cell has a `prm`: add for example "
            "{policy: …, prm: …, strategy: [best_of_n, beam_search, dvts], n: [4, 16, 64]}"
        )
    most = max((cell.strategy.n for cell in cells), default=1)
    return [
        _sweep(own, most if most > 1 else SAMPLES, not config.policies[policy].hosted)
        for (policy, _), own in by_pair.items()
    ]


def _sweep(cells: Sequence[Cell], n: int, asks_logprobs: bool) -> Sweep:
    drawn = [each.strategy for each in cells if isinstance(each.strategy, BestOfN)]
    drawn = [each for each in drawn if each.n > 1] or [BestOfN(n=max(n, 2 * PILOTS))]
    found = replace(max(drawn, key=lambda each: each.n), stop=None, then=None)
    if found.n < 2 * PILOTS:
        raise ProfileError(
            f"a profile needs at least {2 * PILOTS} samples of a problem: set best_of_n's n to 64, "
            "for example"
        )
    # the greedy solution is the first pilot, and how likely it was says something of a problem
    logprobs = True if asks_logprobs and found.logprobs is None else found.logprobs
    samples = replace(cells[0], strategy_name="best_of_n", strategy=found, problems=None)
    return Sweep(
        greedy=replace(samples, strategy=replace(found, n=1, temperature=0.0, logprobs=logprobs)),
        samples=samples,
        trees=tuple(replace(each, problems=None) for each in cells if each.strategy_name in TREES),
    )


def swept(config: RunConfig, found: Iterable[Sweep]) -> RunConfig:
    """The config whose cells are those of the sweeps, which are the sweeps of that one too."""
    cells = tuple(_as_config(cell) for each in found for cell in each.cells)
    return RunConfig.model_validate(dict(config) | {"cells": cells, "headline": None})


def _as_config(cell: Cell) -> CellsConfig:
    assert cell.prm is not None
    return CellsConfig.model_validate(
        {
            "policy": cell.policy.name,
            "prm": cell.prm.name,
            "strategy": cell.strategy_name,
            **cell.settings,
        }
    )
