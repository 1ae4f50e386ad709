"""Runs whose problems go from model to model."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.core.budget import Bill, Limits
from orchestrator.core.compute import inference_flops
from orchestrator.core.problem import Problem
from orchestrator.optimal.cascade.plan import Cascade
from orchestrator.runs.plan import NamedModel, Plan, Ports
from orchestrator.runs.scheduler import Scheduler
from orchestrator.storage.store import Store, read_records
from orchestrator.testing.fakes import FakePRM
from tests.unit.orchestrator.conftest import BoxTask
from tests.unit.orchestrator.optimal.small_plan import (
    BEAMS,
    GREEDY,
    LARGE,
    PILOTS,
    small_plan,
)
from tests.unit.orchestrator.runs.small_fleet import DOLLAR, GONE, Fleet, held, mixture

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
