"""A fleet made up for tests: two policies and a PRM, and one cell across them."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator.core.budget import Bill, Price
from orchestrator.core.node import Node
from orchestrator.core.ports import Sampling
from orchestrator.core.problem import Problem
from orchestrator.core.records import PlanName, Record
from orchestrator.errors import EndpointUnavailable
from orchestrator.optimal.cascade.plan import Cascade
from orchestrator.optimal.routing.across import RoutingAcross
from orchestrator.optimal.routing.mixed import MixedRouting
from orchestrator.runs.plan import Cell, NamedModel, Plan, Ports
from orchestrator.runs.scheduler import Scheduler
from orchestrator.storage.journal import JOURNAL, Journal
from orchestrator.storage.store import Store, read_records
from orchestrator.strategies import Auto
from orchestrator.testing.fakes import FakePolicy, FakePRM, Pause
from tests.unit.orchestrator.conftest import BoxTask
from tests.unit.orchestrator.optimal.small_plan import (
    BEAMS,
    GREEDY,
    PILOTS,
    small_plan,
)

GONE = EndpointUnavailable("nothing answers at http://large", url="")
WHOLE = Sampling(temperature=0.7, max_tokens=100, until="end")
DOLLAR = Price(input=0.0, output=1e6)  # a dollar a written token

EASY, SETTLED, HARD = range(3)
"""Kinds of problems, by their number modulo three: short, long with one answer, and undecided."""


def number(node: Node) -> int:
    return int(node.question.split()[2])


def small(node: Node, index: int) -> str:
    """Right on problems that are easy; on hard ones each sample has an answer of its own."""
    kind = number(node) % 3
    if kind == EASY:
        return r"\boxed{0}."
    own = f"{node.path}{index}".translate({ord(each): None for each in "(), "})
    answer = own if kind == HARD else "1"
    return rf"After many words that lead nowhere in particular the answer is \boxed{{{answer}}}."


def large(node: Node, index: int) -> str:
    if not node.steps and node.path == () and index == 0:
        return "Let us see.\n\n"
    return r"It is \boxed{2}."


def routed_by(plan: Cascade, name: PlanName | None = None) -> RoutingAcross:
    return RoutingAcross(plan=plan, sampling=WHOLE, name=name)


def mixture(problems: list[Problem]) -> MixedRouting:
    """Every second problem goes by ``small_plan``, the others get a greedy answer of ``small``."""
    return MixedRouting(
        cheap=routed_by(Cascade(pilots=PILOTS, first=GREEDY), "cheap"),
        dear=routed_by(small_plan(hard=BEAMS), "dear"),
        dear_problems=frozenset(problem.id for problem in problems[::2]),
    )


class Fleet:
    """Two policies and a PRM, and one cell across them, of a plan or a mixture of two."""

    def __init__(
        self, plan: Cascade | MixedRouting, *, prices: Mapping[str, Price] | None = None
    ) -> None:
        self.small, self.large = FakePolicy(script=small), FakePolicy(script=large)
        self.prm = FakePRM()
        models = {
            name: NamedModel(name=name, parameters=size, price=(prices or {}).get(name))
            for name, size in (("small", 1000), ("large", 10_000), ("prm", 500))
        }  # fmt: skip
        self.cell = Cell(
            task="sums",
            policies=(models["small"], models["large"]),
            prms=(models["prm"],),
            strategy_name="auto",
            strategy=Auto(profile="digest", budget=1.0, unit="flops", fallback_n=4),
            across=plan if isinstance(plan, MixedRouting) else routed_by(plan),
        )

    async def run(
        self, folder: Path, problems: list[Problem], *, journal: bool = False, **more: Any
    ) -> list[Record]:
        bill = more.pop("bill", Bill())
        ports = Ports(
            policies={"small": self.small, "large": self.large},
            prms={"prm": self.prm},
            task=BoxTask(),
            bill=bill,
        )
        plan = Plan(problems=problems, cells=[self.cell], **more)
        with Store(folder) as store:
            if journal:
                with Journal(folder / JOURNAL) as kept:
                    await Scheduler(plan, ports, store, kept).run()
            else:
                await Scheduler(plan, ports, store).run()
        found = sorted(read_records(folder), key=lambda record: record.problem)
        return [timeless(record) for record in found]

    @property
    def requests(self) -> tuple[int, int, int]:
        return len(self.small.requests), len(self.large.requests), len(self.prm.requests)


def timeless(record: Record) -> Record:
    models = {name: replace(use, seconds=0.0) for name, use in record.models.items()}
    return replace(record, seconds=0.0, ended=0.0, models=models)


def held(policy: FakePolicy, after: int, reached: asyncio.Event) -> Pause:
    """Answers no request ``after`` so many."""

    async def pause(node: Node) -> None:
        if len(policy.requests) > after:
            reached.set()
            await asyncio.Event().wait()

    return pause
