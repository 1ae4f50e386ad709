"""Runs whose problems go from model to model."""

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.core.budget import Bill, Limits, Price
from orchestrator.core.compute import inference_flops
from orchestrator.core.node import Node
from orchestrator.core.ports import Sampling
from orchestrator.core.problem import Problem
from orchestrator.core.records import PlanName, Record
from orchestrator.errors import EndpointUnavailable
from orchestrator.optimal.cascade.plan import Cascade, Look, PlannedLook
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
    LARGE,
    PILOTS,
    by,
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


MakeProblems = Callable[[int], list[Problem]]


async def test_each_problem_is_answered_by_the_arm_that_its_looks_lead_to(
    tmp_path: Path, make_problems: MakeProblems
) -> None:
    easy, settled, hard = await Fleet(small_plan()).run(tmp_path, make_problems(3))
    for record, policy, prm, looks in (
        (easy, "small", None, 1), (settled, "small", "prm", 2), (hard, "large", "prm", 2),
    ):  # fmt: skip
        assert record.route is not None and record.error is None
        assert (record.route.policy, record.route.prm) == (policy, prm)
        taken = [(look.policy, look.prm, look.pilots) for look in record.route.looks]
        assert taken == [("small", None, 1), ("small", "prm", PILOTS)][:looks]
        assert record.route.predicted == record.route.looks[0].score
        assert record.verdicts["auto"].correct
    assert [len(record.leaves) for record in (easy, settled, hard)] == [1, PILOTS, 8]
    assert {leaf.answer for leaf in hard.leaves} == {"2"}
    assert (hard.policy, hard.prm, hard.policy_params) == ("small, large", "prm", None)


async def test_what_a_policy_drew_is_neither_drawn_nor_scored_again(
    tmp_path: Path, make_problems: MakeProblems
) -> None:
    fleet = Fleet(small_plan())
    await fleet.run(tmp_path, make_problems(3)[2:])
    drawn = [(request.node.path, request.n) for request in fleet.small.requests]
    assert [n for _, n in drawn] == [1, PILOTS - 1] and len(set(drawn)) == 2
    assert [request.n for request in fleet.large.requests] == [1, PILOTS - 1, 8 - PILOTS]
    scored = [(node.tree.key, node.path) for request in fleet.prm.requests for node in request]
    assert len(set(scored)) == len(scored) == 2 * PILOTS  # what follows repeats their texts


async def test_every_model_is_metered_and_the_sums_are_the_records(
    tmp_path: Path, make_problems: MakeProblems
) -> None:
    fleet = Fleet(small_plan(hard=BEAMS), prices={"small": DOLLAR, "large": DOLLAR})
    records = await fleet.run(tmp_path, make_problems(6))
    for record in records:
        assert list(record.models) == ["small", "large", "prm"]
        for kind in ("policy_tokens", "prompt_tokens", "prm_tokens", "cost"):
            total = sum(getattr(use, kind) for use in record.models.values())
            assert total == pytest.approx(getattr(record, kind))
        assert record.flops is not None
        assert record.flops.total == sum(
            inference_flops(
                size,
                prefill_tokens=record.models[name].prompt_tokens + record.models[name].prm_tokens,
                decode_tokens=record.models[name].policy_tokens,
            )
            for name, size in (("small", 1000), ("large", 10_000), ("prm", 500))
        )
    used = {name: sum(r.models[name].policy_tokens for r in records) for name in ("small", "large")}
    assert used == {"small": fleet.small.tokens, "large": fleet.large.tokens}
    assert sum(record.models["prm"].prm_tokens for record in records) == fleet.prm.tokens
    easy = records[0].models
    assert easy["large"].is_none and easy["prm"].is_none and not easy["small"].is_none


async def test_pilots_of_a_model_that_does_not_answer_are_waste(
    tmp_path: Path, make_problems: MakeProblems
) -> None:
    easy, settled, hard = await Fleet(small_plan()).run(tmp_path, make_problems(3))
    assert easy.wasted_tokens == settled.wasted_tokens == 0
    assert hard.wasted_tokens == hard.models["small"].policy_tokens > 0
    assert 0 < hard.prm_wasted_tokens < hard.prm_tokens


async def test_the_same_trees_and_decisions_come_of_any_concurrency(
    tmp_path: Path, make_problems: MakeProblems
) -> None:
    one, many = [
        await Fleet(small_plan(hard=BEAMS)).run(tmp_path / f"{n}", make_problems(12), trees=n)
        for n in (1, 12)
    ]
    assert one == many


async def test_policies_at_the_same_node_share_no_draw_in_the_journal(
    tmp_path: Path, make_problems: MakeProblems
) -> None:
    """Both policies draw four pilots from the same root, and all of it is replayed."""
    problems = make_problems(6)
    first = await Fleet(small_plan()).run(tmp_path / "run", problems, journal=True)
    (tmp_path / "run" / "records.jsonl").unlink()
    again = Fleet(small_plan())
    assert await again.run(tmp_path / "run", problems, journal=True) == first
    assert again.requests == (0, 0, 0)


async def test_a_cancelled_run_goes_on_and_asks_for_nothing_twice(
    tmp_path: Path, make_problems: MakeProblems
) -> None:
    problems = make_problems(6)
    whole_fleet = Fleet(small_plan(hard=BEAMS))
    whole = await whole_fleet.run(tmp_path / "whole", problems, journal=True)
    asked = whole_fleet.requests
    for stop in range(1, 12, 2):
        folder = tmp_path / f"stopped-{stop}"
        stopped = Fleet(small_plan(hard=BEAMS))
        reached = asyncio.Event()

        stopped.large.pause = held(stopped.large, stop, reached)
        run = asyncio.create_task(stopped.run(folder, problems, journal=True, trees=1))
        waiting = asyncio.create_task(reached.wait())
        await asyncio.wait([run, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
        later = Fleet(small_plan(hard=BEAMS))
        assert await later.run(folder, problems, journal=True) == whole
        lost = max(0, len(stopped.large.requests) - stop)  # what was under way
        together = [a + b for a, b in zip(stopped.requests, later.requests, strict=True)]
        assert together == [asked[0], asked[1] + lost, asked[2]]


async def test_a_policy_that_is_down_is_one_clear_line_and_the_others_answer_stands(
    tmp_path: Path, make_problems: MakeProblems
) -> None:
    fleet, problems = Fleet(small_plan()), make_problems(3)
    fleet.large.failures = dict.fromkeys(range(1, 10), GONE)
    easy, _, hard = await fleet.run(tmp_path, problems, journal=True)
    assert easy.error is None
    assert (hard.ran_out, hard.error) == ("endpoint", "nothing answers at http://large")
    assert len(hard.leaves) == PILOTS and hard.verdicts["auto"].answer is not None
    assert [name for name, use in hard.models.items() if use.answered] == ["small"]
    asked = fleet.requests
    fleet.large.failures = {}
    *_, hard = await fleet.run(tmp_path, problems, journal=True)
    assert hard.error is None and hard.verdicts["auto"].correct
    assert [name for name, use in hard.models.items() if use.answered] == ["large"]
    assert fleet.requests[0] == asked[0]


async def test_a_limit_sums_over_the_models_and_cuts_to_the_best_answer_so_far(
    tmp_path: Path, make_problems: MakeProblems
) -> None:
    problems = make_problems(3)[2:]
    (whole,) = await Fleet(small_plan()).run(tmp_path / "whole", problems)
    first = whole.models["small"]
    for limits, ran_out in (
        (Limits(policy_tokens=first.policy_tokens), "policy_tokens"),
        (Limits(cost=first.policy_tokens), "cost"),
    ):
        fleet = Fleet(small_plan(), prices={"small": DOLLAR, "large": DOLLAR})
        (record,) = await fleet.run(tmp_path / ran_out, problems, problem_limits=limits)
        assert (record.ran_out, record.error) == (ran_out, None)
        assert len(record.leaves) >= 1 and record.verdicts["auto"].answer is not None


async def test_the_bill_of_a_run_holds_all_models(
    tmp_path: Path, make_problems: MakeProblems
) -> None:
    bill = Bill()
    fleet = Fleet(small_plan(), prices={"small": DOLLAR, "large": DOLLAR})
    records = await fleet.run(tmp_path, make_problems(3), bill=bill)
    assert bill.paid == pytest.approx(sum(record.cost for record in records))
    assert bill.paid == fleet.small.tokens + fleet.large.tokens


async def test_lost_pilots_leave_the_decision_to_the_others(
    tmp_path: Path, make_problems: MakeProblems
) -> None:
    fleet = Fleet(small_plan())
    fleet.small.failures = {2: GONE}  # three of the four
    (record,) = await fleet.run(tmp_path, make_problems(3)[1:2])
    assert record.error is None and record.route is not None
    assert record.failed_branches == 1 and record.failure == str(GONE)
    assert len({leaf.path for leaf in record.leaves}) == len(record.leaves)


async def test_without_a_look_every_problem_gets_the_one_arm(
    tmp_path: Path, make_problems: MakeProblems
) -> None:
    fleet = Fleet(Cascade(pilots=PILOTS, first=replace(GREEDY, policy="large")))
    records = await fleet.run(tmp_path, make_problems(2))
    for record in records:
        assert record.route is not None and record.route.looks == ()
        assert (record.route.bin, record.route.predicted) == ("all", None)
        assert len(record.leaves) == 1
    assert fleet.requests == (0, 2, 0)


async def test_a_question_may_decide_before_any_request(
    tmp_path: Path, make_problems: MakeProblems
) -> None:
    """Problem 10's question is a character longer than those before."""
    problems = make_problems(11)[8:]
    length = math.log(len(problems[0].question))
    look = PlannedLook(
        look=Look(policy="small", prm=None, pilots=0),
        predictor=by("small/question_length", mean=length + 0.001, weight=-10.0, pilots=0),
        limits=(0.5,),
        actions=(replace(GREEDY, policy="large"), GREEDY),
    )
    fleet = Fleet(Cascade(pilots=PILOTS, first=0, looks=(look,)))
    records = await fleet.run(tmp_path, problems)
    by_question = {each.id: each for each in problems}
    assert fleet.requests == (2, 1, 0)
    for record in records:
        question = by_question[record.problem].question
        is_long = len(question) > len(problems[0].question)
        assert record.question_characters == len(question)
        assert record.route is not None and record.route.policy == ("large" if is_long else "small")
        assert [(each.policy, each.pilots) for each in record.route.looks] == [("small", 0)]
        assert record.samples == 1


async def test_each_problem_goes_by_the_plan_of_a_mixture_that_it_belongs_to(
    tmp_path: Path, make_problems: MakeProblems
) -> None:
    problems = make_problems(6)
    records = await Fleet(mixture(problems)).run(tmp_path, problems)
    routes = [record.route for record in records if record.route is not None]
    assert [route.plan for route in routes] == ["dear", "cheap"] * 3
    assert [len(route.looks) for route in routes] == [1, 0, 2, 0, 2, 0]
    assert [route.policy for route in routes] == [*["small"] * 2, "large", *["small"] * 3]


async def test_one_plan_alone_needs_no_name(tmp_path: Path, make_problems: MakeProblems) -> None:
    (record,) = await Fleet(small_plan()).run(tmp_path, make_problems(1))
    assert record.route is not None and record.route.plan is None


async def test_a_mixture_is_replayed_by_the_plans_that_it_was_run_by(
    tmp_path: Path, make_problems: MakeProblems
) -> None:
    problems = make_problems(6)
    first = await Fleet(mixture(problems)).run(tmp_path / "run", problems, journal=True)
    (tmp_path / "run" / "records.jsonl").unlink()
    again = Fleet(mixture(problems))
    assert await again.run(tmp_path / "run", problems, journal=True) == first
    assert again.requests == (0, 0, 0)


def test_a_cell_across_models_is_named_by_all_of_them() -> None:
    cell = Fleet(small_plan()).cell
    assert cell.id.startswith("small,large+prm/auto-profiledigest-budget1.0-unitflops-")
    assert cell.cap is None


def test_a_policy_is_asked_for_pilots_and_for_the_arms_it_may_answer_by() -> None:
    cell = Fleet(small_plan(hard=BEAMS)).cell
    names = {
        policy: [type(each).__name__ for each in cell.searches_of(policy)]
        for policy in ("small", "large", "other")
    }
    assert names == {
        "small": ["CoT", "CoT", "BestOfN"],
        "large": ["CoT", "BeamSearch"],
        "other": [],
    }


async def test_scores_of_another_prm_are_taken_anew(
    tmp_path: Path, make_problems: MakeProblems
) -> None:
    fleet = Fleet(small_plan(hard=replace(LARGE, policy="small", prm="second")))
    judge = FakePRM()
    fleet.cell = replace(fleet.cell, prms=(*fleet.cell.prms, NamedModel(name="second")))
    ports = Ports(
        policies={"small": fleet.small, "large": fleet.large},
        prms={"prm": fleet.prm, "second": judge},
        task=BoxTask(),
    )
    with Store(tmp_path) as store:
        await Scheduler(Plan(problems=make_problems(3)[2:], cells=[fleet.cell]), ports, store).run()
    (record,) = read_records(tmp_path)
    assert record.prm == "prm, second" and len(record.leaves) == 8
    assert sum(map(len, judge.requests)) == 8 and sum(map(len, fleet.prm.requests)) == PILOTS
    assert record.flops is None  # nothing tells the size of the second
    assert record.prm_wasted_tokens == record.models["prm"].prm_tokens
