"""What one run measured of each policy under each PRM, as auto and its rivals are judged by it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.commands.session import carry_out
from orchestrator.config.run import RunConfig
from orchestrator.console.terminal import Terminal
from orchestrator.core.equivalence import comparing
from orchestrator.core.records import Record
from orchestrator.optimal.profile import ProfiledModel
from orchestrator.optimal.profiling.fitting import PILOTS
from orchestrator.optimal.profiling.measured import Measured
from orchestrator.optimal.profiling.measuring import Cells, measure, sort_out
from orchestrator.optimal.profiling.trials import Trials, trials
from orchestrator.statistics import paired_bootstrap
from orchestrator.storage.run_directory import RunDirectory
from orchestrator.tasks.math.task import MathTask
from orchestrator.wiring.experiment import Experiment
from tests.benchmarks.optimal.fixed_strategies import Fixed, all_fixed

LADDER = (4, 8, 16, 32)
"""Budgets are what best-of-N takes at these N."""

GOOD_PRM = "prm-qwen"


def measure_all(config: RunConfig, folder: Path, console: Terminal) -> None:
    """Run what is not in the folder yet."""
    experiment = Experiment.of(config)
    with RunDirectory(folder) as directory, directory.journaled():
        carry_out(experiment, experiment.plan, directory, console, lambda: "Stopped.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One policy under one PRM."""

    policy: ProfiledModel
    prm: ProfiledModel
    measured: list[Measured]
    trials: Trials
    fixed: list[Fixed]
    sample: Record

    @property
    def name(self) -> str:
        return f"{self.policy.name}+{self.prm.name}"

    def budget(self, n: int) -> float:
        """Tokens a problem that best-of-``n`` takes."""
        (found,) = [each for each in self.fixed if each.name == f"max_last of {n}"]
        return float(found.tokens.mean())


async def pairs(records: Sequence[Record]) -> list[Pair]:
    found = []
    keys = dict.fromkeys((each.policy, each.prm) for each in records if each.prm)
    cot = {
        (each.policy, each.problem): (bool(each.verdicts["majority"].correct), each.policy_tokens)
        for each in records
        if each.strategy == "cot"
    }
    async with MathTask() as task:
        for policy, prm in keys:
            mine = [each for each in records if (each.policy, each.prm) == (policy, prm)]
            cells: Cells = sort_out(mine)
            measured = [
                each
                for each in await measure(mine, cells, comparing(task, ()))
                if each.trees.keys() == cells.trees.keys()
            ]
            sample = next(each for each in mine if each.cell == cells.samples)
            greedy = {problem: told for (name, problem), told in cot.items() if name == policy}
            found.append(
                Pair(
                    policy=ProfiledModel(policy, sample.policy_params),
                    prm=ProfiledModel(str(prm), sample.prm_params),
                    measured=measured,
                    trials=trials(measured, cells.arms(PILOTS), PILOTS),
                    fixed=all_fixed(measured, cells, greedy),
                    sample=sample,
                )
            )
    return found


def interval(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> list[float]:
    """A paired difference with its 95 % interval."""
    return [rounded(each) for each in paired_bootstrap(ours.tolist(), theirs.tolist())]


def rounded(number: Any) -> float:
    return round(float(number), 4)
