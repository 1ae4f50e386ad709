"""A run in small (a task of boxed answers, cells by strategy, records by name); property tests
draw few examples, the same ones every time, and may take as long as they need."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from orchestrator.core.budget import UNLIMITED, Ledger, Limits
from orchestrator.core.node import Tree
from orchestrator.core.ports import PRM, Models, Policy
from orchestrator.core.problem import Problem
from orchestrator.core.records import LeafRecord, Record, Verdict
from orchestrator.core.task import Task
from orchestrator.runs.answers import AnswerReader
from orchestrator.runs.grading import grade
from orchestrator.runs.plan import Cell, NamedModel, Ports
from orchestrator.runs.ports.branches import OnFailedBranch
from orchestrator.runs.ports.stack import Terms
from orchestrator.runs.ports.unscored import Unscored
from orchestrator.runs.search import Place, search
from orchestrator.strategies.building import build
from orchestrator.testing.fakes import FakePolicy, FakePRM

settings.register_profile(
    "unit",
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("unit")


class BoxTask(Task):
    """The answer is in the last box of a solution; equal answers are equal strings."""

    async def extract(self, problem: Problem, text: str) -> str | None:
        boxes: list[str] = re.findall(r"\\boxed\{(.*?)\}", text)
        return boxes[-1] if boxes else None

    async def same(self, problem: Problem, a: str, b: str) -> bool | None:
        return a == b

    def is_complete(self, step: str) -> bool:
        return r"\boxed" in step


def problems(count: int) -> list[Problem]:
    return [
        Problem(id=f"p{i}", question=f"What is {i} + 1?", answer=str(i % 3)) for i in range(count)
    ]


def cell(name: str = "cot", *, policy: str = "small", **settings: Any) -> Cell:
    strategy = build(name, settings)
    return Cell(
        task="sums",
        policies=(NamedModel(name=policy, parameters=1000),),
        prms=(NamedModel(name="prm"),) if "prm" in strategy.needs else (),
        strategy_name=name,
        strategy=strategy,
    )


def ports(policy: Policy | None = None, prm: PRM | None = None, **more: Policy) -> Ports:
    """Ports of one policy ``small``, the policies named in ``more`` and one PRM."""
    return Ports(
        policies={"small": policy or FakePolicy(), **more},
        prms={"prm": prm or FakePRM()},
        task=BoxTask(),
    )


def record(problem: str = "p0", cell: str = "small/cot", **changes: Any) -> Record:
    fields: dict[str, Any] = {
        "task": "sums", "policy": "small", "policy_params": 1000, "prm": None, "prm_params": None,
        "strategy": "cot", "n": 1, "settings": {"temperature": 0.0}, "level": None,
        "verdicts": {"majority": Verdict(answer="7", correct=True)},
        "policy_tokens": 10, "prompt_tokens": 5, "cached_tokens": 0, "prm_tokens": 0,
        "requests": 1, "seconds": 0.5, "ran_out": None,
        "leaves": (
            LeafRecord(
                path=(0,), answer="7", correct=True, finish="stop", scores=(0.5,), tokens=10,
                steps=("so ½\n\n", "it is 7"),
            ),
        ),
    }  # fmt: skip
    return Record(problem=problem, cell=cell, **fields | changes)


async def run_tree(
    problem: Problem,
    cell: Cell,
    ports: Ports,
    *,
    policy: Policy,
    prm: PRM | None = None,
    ledger: Ledger | None = None,
    limits: Limits = UNLIMITED,
    seed: int = 0,
    tree: Tree | None = None,
    on_failed_branch: OnFailedBranch = "drop",
) -> Record:
    """Search one problem of a cell and grade what came of it."""
    outcome = await search(
        problem.question,
        cell.strategy,
        Models(policy, prm or Unscored()),
        limits,
        terms=Terms(
            policy_price=cell.policy.price,
            prm_price=cell.prm.price if cell.prm else None,
            on_failed_branch=on_failed_branch,
        ),
        place=Place(
            seed=seed,
            tree=replace(tree or Tree(), problem=problem.id),
            ledger=ledger or Ledger(),
            routing=cell.routing,
        ),
        answers=AnswerReader(ports.task, problem),
    )
    return await grade(outcome, problem, cell, ports.task)


@pytest.fixture(scope="session")
def run_one_tree() -> Callable[..., Awaitable[Record]]:
    return run_tree


@pytest.fixture(scope="session")
def make_problems() -> Callable[..., list[Problem]]:
    return problems


@pytest.fixture(scope="session")
def make_cell() -> Callable[..., Cell]:
    return cell


@pytest.fixture(scope="session")
def make_ports() -> Callable[..., Ports]:
    return ports


@pytest.fixture(scope="session")
def make_record() -> Callable[..., Record]:
    return record
