import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.core.budget import Limits
from orchestrator.core.node import Node
from orchestrator.core.records import Record
from orchestrator.errors import (
    BudgetExhausted,
    EndpointRefused,
    EndpointUnavailable,
    RateLimited,
    RunError,
)
from orchestrator.runs.course import FAILURES_IN_A_ROW
from orchestrator.runs.plan import Plan
from orchestrator.runs.scheduler import Scheduler
from orchestrator.storage.store import Store, read_records
from orchestrator.testing.fakes import FakePolicy, FakePRM, chains
from tests.unit.orchestrator.runs.scheduling import (
    Cells,
    MakePorts,
    Problems,
    after_a_while,
    comparable,
    run,
)

GONE = EndpointUnavailable("gone", url="")


async def test_the_same_seed_grows_the_same_trees_at_any_concurrency(
    tmp_path: Path, make_problems: Problems, make_cell: Cells, make_ports: MakePorts
) -> None:
    cells = [
        make_cell("beam_search", n=8), make_cell("dvts", n=8), make_cell("best_of_n", n=4),
        make_cell("majority", n=8), make_cell("cot"),
    ]  # fmt: skip
    found = []
    for trees in (1, 20):
        policy = FakePolicy(pause=after_a_while(trees))
        ports = make_ports(policy, FakePRM(pause=after_a_while(-trees)))
        plan = Plan(problems=make_problems(20), cells=cells, seed=3, trees=trees)
        found.append(comparable(await run(plan, ports, tmp_path / str(trees))))
    assert len(found[0]) == 100
    assert found[0] == found[1]
    assert any(leaf.correct for record in found[0] for leaf in record.leaves)


async def test_another_seed_grows_other_trees(
    tmp_path: Path, make_problems: Problems, make_cell: Cells, make_ports: MakePorts
) -> None:
    plans = [
        Plan(problems=make_problems(1), cells=[make_cell("beam_search", n=4)], seed=seed)
        for seed in (1, 2)
    ]
    one, two = [await run(plan, make_ports(), tmp_path / str(plan.seed)) for plan in plans]
    assert one[0].leaves[0].steps != two[0].leaves[0].steps


async def test_only_what_is_unfinished_is_run(
    tmp_path: Path, make_problems: Problems, make_cell: Cells, make_ports: MakePorts
) -> None:
    cell = make_cell("cot")
    first = Plan(problems=make_problems(3), cells=[cell])
    await run(first, make_ports(FakePolicy(failures={2: GONE})), tmp_path)
    policy = FakePolicy()
    again = Plan(problems=make_problems(5), cells=[cell])
    records = await run(again, make_ports(policy), tmp_path)
    asked = [request.node.question for request in policy.requests]
    assert asked == ["What is 1 + 1?", "What is 3 + 1?", "What is 4 + 1?"]
    assert {record.problem for record in records} == {"p0", "p1", "p2", "p3", "p4"}
    assert all(record.error is None for record in records)


async def test_a_finished_run_asks_nothing_more(
    tmp_path: Path, make_problems: Problems, make_cell: Cells, make_ports: MakePorts
) -> None:
    plan = Plan(problems=make_problems(2), cells=[make_cell("beam_search", n=4)])
    await run(plan, make_ports(), tmp_path)
    policy = FakePolicy()
    await run(plan, make_ports(policy), tmp_path)
    assert policy.requests == []
    with Store(tmp_path) as store:
        assert list(store.remaining(plan)) == []


async def test_eight_failures_in_a_row_stop_the_run(
    tmp_path: Path, make_problems: Problems, make_cell: Cells, make_ports: MakePorts
) -> None:
    failures = dict.fromkeys(range(3, 100), GONE)
    plan = Plan(problems=make_problems(40), cells=[make_cell("cot")], trees=1)
    with pytest.raises(EndpointUnavailable, match=r"8 trees in a row lost their endpoint.*gone"):
        await run(plan, make_ports(FakePolicy(failures=failures)), tmp_path)
    records = read_records(tmp_path)
    assert [record.error for record in records] == [None] * 2 + ["gone"] * FAILURES_IN_A_ROW


@pytest.mark.parametrize("strategy", ["cot", "majority", "beam_search"])
@pytest.mark.parametrize("on_failed_branch", ["drop", "refill", "fail"])
async def test_a_rate_limit_that_is_not_waited_for_stops_the_run_and_costs_no_tree_a_branch(
    strategy: str,
    on_failed_branch: Any,
    tmp_path: Path,
    make_problems: Problems,
    make_cell: Cells,
    make_ports: MakePorts,
) -> None:
    cell = make_cell(strategy, **({} if strategy == "cot" else {"n": 8}))
    plan = Plan(
        problems=make_problems(40), cells=[cell], trees=3, on_failed_branch=on_failed_branch
    )
    limit = RateLimited("p answers 429, a rate limit that ends in 7 h", url="")
    policy = FakePolicy(script=chains(depth=4), failures=dict.fromkeys(range(6, 500), limit))
    with pytest.raises(RateLimited, match="ends in 7 h"):
        await run(plan, make_ports(policy), tmp_path)
    assert len(policy.requests) <= 5 + 2 * plan.trees * 8
    stopped = [record for record in read_records(tmp_path) if record.error is not None]
    assert stopped
    assert {(each.ran_out, each.error) for each in stopped} == {("rate limit", str(limit))}
    again = await run(plan, make_ports(FakePolicy(script=chains(depth=4))), tmp_path)
    assert len(again) == 40 and not any(each.error or each.failed_branches for each in again)


async def test_a_success_in_between_lets_the_run_go_on(
    tmp_path: Path, make_problems: Problems, make_cell: Cells, make_ports: MakePorts
) -> None:
    failures = {i: GONE for i in range(1, 31) if i % FAILURES_IN_A_ROW}
    plan = Plan(problems=make_problems(30), cells=[make_cell("cot")], trees=1)
    records = await run(plan, make_ports(FakePolicy(failures=failures)), tmp_path)
    assert sum(record.error is None for record in records) == 3


async def test_a_refusal_stops_the_run_at_once_and_keeps_what_was_finished(
    tmp_path: Path, make_problems: Problems, make_cell: Cells, make_ports: MakePorts
) -> None:
    refused = EndpointRefused("wrong key", url="")
    held = 0

    async def hold_some(node: Node) -> None:
        nonlocal held
        if node.question in ("What is 3 + 1?", "What is 4 + 1?"):
            held += 1
            await asyncio.Event().wait()

    policy = FakePolicy(failures={6: refused}, pause=hold_some)
    plan = Plan(problems=make_problems(50), cells=[make_cell("cot")], trees=3)
    async with asyncio.timeout(5):
        with pytest.raises(EndpointRefused, match="wrong key"):
            await run(plan, make_ports(policy), tmp_path)
    assert held == 2
    assert [record.problem for record in read_records(tmp_path)] == ["p0", "p1", "p2"]
    assert len(policy.requests) == 6
    assert len(asyncio.all_tasks()) == 1


async def test_a_full_disk_stops_the_run(
    tmp_path: Path,
    make_problems: Problems,
    make_cell: Cells,
    make_ports: MakePorts,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(self: Store, record: Record) -> None:
        raise RunError("the disk is full")

    monkeypatch.setattr(Store, "add", full)
    plan = Plan(problems=make_problems(5), cells=[make_cell("cot")])
    with pytest.raises(RunError, match="the disk is full"):
        await run(plan, make_ports(), tmp_path)


async def test_so_many_trees_are_in_flight_and_no_more(
    tmp_path: Path, make_problems: Problems, make_cell: Cells, make_ports: MakePorts
) -> None:
    plan = Plan(problems=make_problems(12), cells=[make_cell("cot")], trees=4)
    seen: list[int] = []
    with Store(tmp_path) as store:

        async def look(node: Node) -> None:
            await asyncio.sleep(0)
            seen.append(scheduler.progress.in_flight)

        scheduler = Scheduler(plan, make_ports(FakePolicy(pause=look)), store)
        await scheduler.run()
    assert max(seen) == 4
    assert scheduler.progress.in_flight == 0


async def test_no_tree_waits_for_another(
    tmp_path: Path, make_problems: Problems, make_cell: Cells, make_ports: MakePorts
) -> None:
    """The first problem is answered only after all others are: its worker alone stands still."""
    others_done = asyncio.Event()

    async def hold_first(node: Node) -> None:
        if node.question == "What is 0 + 1?":
            await others_done.wait()

    def note(record: Record) -> None:
        order.append(record.problem)
        if len(order) == 7:
            others_done.set()

    order: list[str] = []
    plan = Plan(problems=make_problems(8), cells=[make_cell("beam_search", n=4)], trees=2)
    with Store(tmp_path) as store:
        ports = make_ports(FakePolicy(pause=hold_first))
        scheduler = Scheduler(plan, ports, store, on_record=note)
        async with asyncio.timeout(5):
            await scheduler.run()
    assert order[-1] == "p0"


async def test_progress_counts_problems_and_weighs_work_by_n(
    tmp_path: Path, make_problems: Problems, make_cell: Cells, make_ports: MakePorts
) -> None:
    cot, beam = make_cell("cot"), make_cell("beam_search", n=16)
    await run(Plan(problems=make_problems(2), cells=[cot]), make_ports(), tmp_path)
    told: list[tuple[int, int]] = []
    with Store(tmp_path) as store:
        scheduler = Scheduler(
            Plan(problems=make_problems(3), cells=[cot, beam]), make_ports(), store
        )
        progress = scheduler.progress
        scheduler.on_record = lambda record: told.append((progress.finished, progress.work_done))
        assert (progress.total, progress.already, progress.work) == (6, 2, 1 + 3 * 16)
        await scheduler.run()
    assert told[-1] == (4, progress.work)
    assert progress.cell == beam.id
    assert progress.ledger.spent.requests > 0


async def test_the_runs_budget_bounds_all_trees_together(
    tmp_path: Path, make_problems: Problems, make_cell: Cells, make_ports: MakePorts
) -> None:
    policy, prm = FakePolicy(script=chains(depth=20)), FakePRM()
    plan = Plan(
        problems=make_problems(10),
        cells=[make_cell("beam_search", n=8)],
        limits=Limits(requests=25),
        problem_limits=Limits(requests=10),
    )
    with pytest.raises(BudgetExhausted, match="the run budget of 25 requests is used up"):
        await run(plan, make_ports(policy, prm), tmp_path)
    records = read_records(tmp_path)
    assert len(policy.requests) + len(prm.requests) == 25
    assert {record.ran_out for record in records} == {"requests"}
    assert max(record.requests for record in records) <= 10


async def test_a_larger_budget_goes_on_with_what_the_runs_budget_cut_short(
    tmp_path: Path, make_problems: Problems, make_cell: Cells, make_ports: MakePorts
) -> None:
    plan = Plan(
        problems=make_problems(10), cells=[make_cell("majority", n=2)], limits=Limits(requests=4)
    )
    with pytest.raises(BudgetExhausted):
        await run(plan, make_ports(FakePolicy()), tmp_path)
    policy = FakePolicy()
    with pytest.raises(BudgetExhausted):  # what was spent before counts
        await run(replace(plan, limits=Limits(requests=6)), make_ports(policy), tmp_path)
    assert len(policy.requests) == 2
    await run(replace(plan, limits=Limits(requests=100)), make_ports(policy), tmp_path)
    assert len(policy.requests) == 6
    assert {record.ran_out for record in read_records(tmp_path)} == {None}


async def test_when_the_runs_time_is_up_its_trees_answer_and_its_next_start_finishes_them(
    tmp_path: Path, make_problems: Problems, make_cell: Cells, make_ports: MakePorts
) -> None:
    async def last_two_wait(node: Node) -> None:
        if node.question in ("What is 3 + 1?", "What is 4 + 1?"):
            await asyncio.Event().wait()

    plan = Plan(
        problems=make_problems(40), cells=[make_cell("cot")], trees=2, limits=Limits(seconds=0.1)
    )
    with pytest.raises(BudgetExhausted, match=r"the run budget of 0\.1 seconds is used up"):
        await run(plan, make_ports(FakePolicy(pause=last_two_wait)), tmp_path)
    records = read_records(tmp_path)
    assert [record.ran_out for record in records] == [None] * 3 + ["seconds"] * 2
    assert len(await run(replace(plan, limits=Limits()), make_ports(), tmp_path)) == 40
    assert not any(record.error for record in read_records(tmp_path))
