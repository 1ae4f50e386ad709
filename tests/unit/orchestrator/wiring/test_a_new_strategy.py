"""A strategy that has its line in ``STRATEGIES``, and nothing else, is everywhere."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest

from orchestrator.commands.profile.sweeps import sweeps
from orchestrator.config.run import validate
from orchestrator.core.node import Node, root
from orchestrator.core.ports import Models, Need, Sampling
from orchestrator.core.voting import Max
from orchestrator.errors import ConfigError
from orchestrator.optimal.arms import Arm
from orchestrator.optimal.profiling.measuring import sort_out
from orchestrator.optimal.routing.routed import SeparateRouting
from orchestrator.optimal.routing.router import Decision
from orchestrator.optimal.wording import in_words
from orchestrator.report.data.cells import strategy_order
from orchestrator.strategies import STRATEGIES
from orchestrator.testing.fakes import FakePolicy, FakePRM

NAME = "two_at_once"


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoAtOnce:
    """Two whole solutions a draw, scored."""

    needs: ClassVar[frozenset[Need]] = frozenset({"prm"})
    n: int = 2
    tries: int = 1
    greedy: bool = False

    async def __call__(self, root: Node, models: Models) -> list[Node]:
        sampling = Sampling(temperature=0.0 if self.greedy else 0.7, until="end")
        return await models.prm.score(await models.policy.extend(root, self.n, sampling))


@pytest.fixture(autouse=True)
def named(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(STRATEGIES, NAME, TwoAtOnce)
    yield


def config(**settings: object) -> dict[str, object]:
    pair = {"policy": "policy", "prm": "prm"}
    return {
        "task": {"name": "chains", "problems": 100},
        "policies": {"policy": {}},
        "prms": {"prm": {"family": "qwen_math"}},
        "cells": [
            {**pair, "strategy": "best_of_n", "n": 16},
            {**pair, "strategy": NAME, "n": 4, **settings},
        ],
    }


def test_a_config_takes_its_settings_and_names_its_results_by_them() -> None:
    *_, cell = validate(config(greedy=True), "run.yaml").all_cells
    assert cell.strategy == TwoAtOnce(n=4, greedy=True)
    assert cell.id == "policy+prm/two_at_once-n4-tries1-greedyTrue"
    assert {vote.name for vote in cell.votes} >= {"majority", "max_last", "weighted_min"}


def test_a_config_refuses_what_it_does_not_take() -> None:
    with pytest.raises(ConfigError, match=r"unknown key 'gredy' for two_at_once.*\"greedy\""):
        validate(config(gredy=True), "run.yaml")
    with pytest.raises(ConfigError, match="two_at_once: tries: True is no value for it"):
        validate(config(tries=True), "run.yaml")


def test_tables_and_figures_name_it_after_those_there_are() -> None:
    assert in_words(Arm(strategy=NAME, settings={"n": 4}, vote=Max("last"))) == (
        "two at once 4 with PRM-Last"
    )
    assert max([*STRATEGIES, "another"], key=strategy_order) == "another"
    assert max(STRATEGIES, key=strategy_order) == NAME


def test_a_profile_measures_it_and_routes_to_it() -> None:
    found = validate(config(), "run.yaml")
    (sweep,) = sweeps(found, found.all_cells)
    assert [cell.strategy_name for cell in sweep.trees] == [NAME]


async def test_a_routed_problem_that_comes_to_it_adds_its_leaves_to_the_pilots() -> None:
    arm = Arm(strategy=NAME, settings={"n": 2}, vote=Max("last"))

    class Always:
        pilots = 4
        reads = ()
        arms = (arm,)

        def decide(self, drawn: list[Node]) -> Decision:
            return Decision(arm=arm, predicted=0.5, bin="medium", rule="always")

    sampling = Sampling(temperature=0.7, until="end")
    search = SeparateRouting(router=Always(), sampling=sampling).begin(None)  # type: ignore[arg-type]
    start = root("What is 6 * 7?", seed=1, problem_id="p")
    leaves = await search(start, Models(FakePolicy(), FakePRM()))
    assert len(leaves) == 4 + 2
    assert len({leaf.path for leaf in leaves}) == len(leaves)


def test_a_run_of_it_is_what_a_profile_is_fitted_to(make_record) -> None:  # type: ignore[no-untyped-def]
    whole = {"temperature": 0.7, "top_p": 1.0, "max_tokens": 100}
    drawn = make_record(cell="drawn", strategy="best_of_n", n=16, settings={"n": 16, **whole})
    greedy = replace(drawn, cell="greedy", n=1, settings={"n": 1, **whole, "temperature": 0.0})
    mine = replace(drawn, cell="mine", strategy=NAME, n=4, settings={"n": 4})
    cells = sort_out([drawn, greedy, mine])
    arms = [(arm.strategy, cell) for arm, cell in cells.arms(4) if cell is not None]
    assert set(arms) == {(NAME, "mine")}
