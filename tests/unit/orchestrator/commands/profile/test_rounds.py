"""What a profile measures, in which order, and what it makes of a cap."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.commands.profile.rounds import FIRST, Done, Rounds, tokens
from orchestrator.commands.profile.sweeps import Sweep, sweep_config
from orchestrator.commands.profile.sweeps import sweeps as sweeps_of
from orchestrator.config.run import RunConfig, validate
from orchestrator.core.budget import Price
from orchestrator.core.problem import Problem
from orchestrator.core.records import LeafRecord, Record
from orchestrator.core.task import Task
from orchestrator.errors import ProfileError
from orchestrator.optimal.profiling.fitting import FEWEST
from orchestrator.runs.plan import Cell, Plan
from orchestrator.strategies import BestOfN
from orchestrator.wiring.experiment import Experiment
from orchestrator.wiring.prices import priced, prices

CONFIG: dict[str, Any] = {
    "task": {"name": "chains", "problems": 100},
    "policies": {"policy": {}},
    "prms": {"prm": {"family": "qwen_math"}, "other": {"family": "qwen_math"}},
    "cells": [
        {"policy": "policy", "strategy": "cot"},
        {"policy": "policy", "strategy": "majority", "n": 16},
        {"policy": "policy", "prm": "prm", "strategy": "best_of_n", "n": [2, 8], "problems": 5},
        {"policy": "policy", "prm": "prm", "strategy": "beam_search", "n": [4, 8, 16, 32]},
    ],
}


def config(**changes: Any) -> RunConfig:
    return validate(CONFIG | changes, "run.yaml")


PAIR = {"policy": "policy", "prm": "prm"}

# What a config's sweeps are


def sweeps(config: RunConfig) -> list[Sweep]:
    return sweeps_of(config, priced(config.all_cells, prices(config)))


def test_a_sweep_completes_what_the_cells_lack_and_leaves_out_what_they_repeat() -> None:
    (found,) = sweeps(config())
    assert found.samples.strategy.n == 8
    greedy = found.greedy.strategy
    assert (greedy.n, greedy.temperature) == (1, 0.0)  # type: ignore[union-attr]
    assert [tree.strategy.n for tree in found.trees] == [4, 8, 16, 32]
    assert all(cell.problems is None for cell in found.cells)


def test_samples_of_a_sweep_are_drawn_in_full_and_followed_by_nothing() -> None:
    stop = {"stop": {"rule": "beta"}, "then": {"strategy": "dvts"}}
    cell = {"policy": "policy", "prm": "prm", "strategy": "best_of_n", "n": 64} | stop
    (found,) = sweeps(config(cells=[cell]))
    assert found.samples.strategy == BestOfN(n=64, logprobs=True)


@pytest.mark.parametrize("told", [None, False])
def test_all_samples_of_a_sweep_bring_log_probabilities_and_the_greedy_one_the_questions(
    told: bool | None,
) -> None:
    """Of a hosted model too: an API that has none says so, and is asked without."""
    cell = {**PAIR, "strategy": "best_of_n", "n": 64} | ({} if told is None else {"logprobs": told})
    (found,) = sweeps(config(cells=[cell]))
    greedy, samples = found.greedy.strategy, found.samples.strategy
    assert isinstance(greedy, BestOfN) and isinstance(samples, BestOfN)
    assert greedy.sampling.logprobs is samples.sampling.logprobs is (told is None)
    assert (greedy.question_logprob, samples.question_logprob) == (True, None)


def test_there_is_a_sweep_for_each_policy_and_prm() -> None:
    both = [{"policy": "policy", "prm": ["prm", "other"], "strategy": "dvts", "n": [4, 16]}]
    found = sweeps(config(cells=both))
    assert [each.samples.prm and each.samples.prm.name for each in found] == ["prm", "other"]
    assert {each.samples.strategy.n for each in found} == {16}


def test_a_sweep_is_at_the_models_prices_so_that_a_profile_knows_what_arms_cost() -> None:
    priced = {"policy": CONFIG["policies"]["policy"] | {"price": {"input": 1.0, "output": 2.0}}}
    (found,) = sweeps(config(policies=priced))
    assert all(cell.policy.price == Price(input=1.0, output=2.0) for cell in found.cells)


@pytest.mark.parametrize(
    "cells",
    [
        CONFIG["cells"],
        [{**PAIR, "strategy": "beam_search", "n": [4, 16]}],
        [{**PAIR, "strategy": "dvts", "n": 4}],
        [{"policy": "policy", "prm": ["prm", "other"], "strategy": "best_of_n", "n": 16,
          "stop": {"rule": "beta"}, "temperature": 0.5}],
    ],
)  # fmt: skip
def test_the_config_of_a_profile_has_the_cells_of_its_sweeps_and_the_same_sweeps_again(
    cells: Any,
) -> None:
    found = sweeps(config(cells=cells))
    again = sweep_config(config(cells=cells), found)
    assert [cell.id for cell in again.all_cells] == [
        cell.id for each in found for cell in each.cells
    ]
    resumed = validate(again.dumped(), "again")
    assert resumed.all_cells == again.all_cells
    assert sweeps(resumed) == found


def test_a_policy_without_a_prm_is_measured_beside_others_by_its_own_samples() -> None:
    policies = {"policies": {"policy": {}, "large": {}}}
    cells = [*CONFIG["cells"], {"policy": "large", "strategy": "cot"}]
    scored, alone = sweeps(config(cells=cells, **policies))
    assert scored.samples.prm is not None and alone.samples.prm is None
    assert (alone.greedy.strategy_name, alone.samples.strategy_name) == ("majority", "majority")
    assert (alone.greedy.strategy.n, alone.samples.strategy.n) == (1, 32)
    again = sweep_config(config(cells=cells, **policies), [scored, alone])
    assert [cell.id for cell in again.all_cells] == [
        cell.id for each in (scored, alone) for cell in each.cells
    ]


def test_several_policies_need_no_prm() -> None:
    cells = [{"policy": ["policy", "large"], "strategy": "majority", "n": 16}]
    found = sweeps(config(cells=cells, policies={"policy": {}, "large": {}}))
    assert [each.samples.policy.name for each in found] == ["policy", "large"]


def test_a_policy_without_a_prm_is_measured_with_log_probabilities() -> None:
    (found,) = sweeps(config(cells=CONFIG["cells"][:2]))
    assert (found.samples.strategy_name, found.samples.prm) == ("majority", None)
    assert found.samples.settings["logprobs"] is True


def test_cells_of_auto_alone_are_nothing_to_profile() -> None:
    with pytest.raises(ProfileError, match="cells of auto alone"):
        sweeps(config(cells=[{**PAIR, "strategy": "auto"}]))


def test_too_few_samples_are_refused() -> None:
    few = [{"policy": "policy", "prm": "prm", "strategy": "best_of_n", "n": 4}]
    with pytest.raises(ProfileError, match="at least 8 samples of a problem"):
        sweeps(config(cells=few))


# In rounds


class World:
    """Runs plans by writing down what would come of them; a search takes ``costs`` tokens a problem
    and its solutions are right as often as ``quality`` says."""

    def __init__(self, costs: Callable[[Cell], int], quality: Callable[[Cell], float]) -> None:
        self.costs, self.quality = costs, quality
        self.done: Done = {}
        self.plans: list[Plan] = []

    def run(self, plan: Plan) -> None:
        self.plans.append(plan)
        for cell in plan.cells:
            for problem in plan.problems[: cell.problems]:
                self.done[cell.id, problem.id] = self._record(cell, problem.id)

    def _record(self, cell: Cell, problem: str) -> Record:
        draw = random.Random(f"{cell.id}/{problem}")
        count = cell.strategy.n if cell.strategy_name == "best_of_n" else 2
        right = [draw.random() < self.quality(cell) for _ in range(count)]
        leaves = tuple(
            LeafRecord(
                path=(i,),
                answer="7" if each else "8",
                correct=each,
                finish="stop",
                scores=(0.8 if each else 0.3,),
                tokens=10,
                steps=(f"{problem} {i}",),
            )
            for i, each in enumerate(right)
        )
        return Record(
            cell=cell.id, task="chains", policy="policy", policy_params=None, prm="prm",
            prm_params=None, strategy=cell.strategy_name, n=cell.strategy.n, settings=cell.settings,
            problem=problem, level=None, verdicts={}, policy_tokens=self.costs(cell),
            prompt_tokens=0, cached_tokens=0, prm_tokens=0, requests=1, seconds=1.0, ran_out=None,
            leaves=leaves,
        )  # fmt: skip

    @property
    def spent(self) -> int:
        return sum(map(tokens, self.done.values()))


def ten_a_path(cell: Cell) -> int:
    return 10 * cell.strategy.n


def even(cell: Cell) -> float:
    return 0.6


class SameText(Task):
    async def extract(self, problem: Problem, text: str) -> str | None:
        return text

    async def same(self, problem: Problem, a: str, b: str) -> bool | None:
        return a == b


async def measured(world: World, cap: int | None, stop_after: int = 99, samples: int = 8) -> Rounds:
    cells = [*CONFIG["cells"][:2], CONFIG["cells"][2] | {"n": samples}, CONFIG["cells"][3]]
    found = sweeps(config(cells=cells))
    rounds = Rounds(Experiment.of(sweep_config(config(), found)).plan, found, cap)
    while len(world.plans) < stop_after:
        plan = await rounds.next(world.done, SameText())
        if plan is None:
            break
        world.run(plan)
    return rounds


async def test_without_a_cap_everything_is_measured_at_once() -> None:
    world = World(ten_a_path, even)
    await measured(world, None)
    assert len(world.plans) == 1
    assert len(world.done) == 6 * 100


SAMPLES = 100 * 90
"""Tokens of the samples of all problems."""


async def test_the_samples_come_first_and_the_searches_on_ever_more_problems() -> None:
    world = World(ten_a_path, even)
    rounds = await measured(world, SAMPLES + 30_000)
    parts = [(len(plan.cells), plan.cells[0].problems) for plan in world.plans]
    assert parts[:2] == [(2, FIRST), (2, 100)]
    searched = [reached or 0 for _, reached in parts[2:]]
    assert searched == sorted(set(searched)) and len(searched) > 1
    assert 0.7 * 30_000 < world.spent - SAMPLES <= 30_000
    assert 0 < len(rounds.candidates) <= 4


async def test_searches_far_from_every_front_are_dropped_and_the_best_stays() -> None:
    world = World(ten_a_path, lambda cell: {16: 0.99, 32: 0.05}.get(cell.strategy.n, 0.3))
    rounds = await measured(world, SAMPLES + 30_000)
    names = [name.split("-n")[1].split("-")[0] for name in rounds.candidates]
    assert "16" in names and "32" not in names


async def test_no_search_is_kept_for_the_samples_that_it_may_follow() -> None:
    world = World(ten_a_path, lambda cell: {8: 0.99, 64: 0.45}.get(cell.strategy.n, 0.05))
    rounds = await measured(world, 100 * 650 + 30_000, samples=64)
    names = [name.split("-n")[1].split("-")[0] for name in rounds.candidates]
    assert "8" in names and "32" not in names
    assert len(names) <= 2


async def test_a_resumed_profile_measures_the_same_as_one_never_stopped() -> None:
    whole, stopped = World(ten_a_path, even), World(ten_a_path, even)
    await measured(whole, SAMPLES + 30_000)
    await measured(stopped, SAMPLES + 30_000, stop_after=3)
    await measured(stopped, SAMPLES + 30_000)
    assert stopped.done == whole.done


async def test_a_cap_for_the_samples_alone_leaves_the_searches_out() -> None:
    world = World(ten_a_path, even)
    rounds = await measured(world, SAMPLES + 100)
    assert world.spent == SAMPLES
    assert rounds.candidates == []


async def test_a_cap_below_the_samples_is_refused_before_most_is_paid() -> None:
    world = World(ten_a_path, even)
    with pytest.raises(ProfileError, match="samples alone take about 9,000 tokens, more than"):
        await measured(world, SAMPLES // 2)
    assert world.spent <= SAMPLES * FIRST // 100
    with pytest.raises(ProfileError, match="a cap of 500 tokens is less than the samples alone"):
        await measured(world, 500)


def test_too_few_problems_are_refused_before_anything_is_paid() -> None:
    few = config(task={"name": "chains", "problems": 20})
    with pytest.raises(ProfileError, match=f"20 problems are too few .* {FEWEST} are the least"):
        Rounds(Experiment.of(few).plan, sweeps(few))
