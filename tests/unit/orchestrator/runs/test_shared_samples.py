"""Cells that ask for the same samples share them, and each is charged for its own."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.core.node import Node, derive_seed
from orchestrator.core.problem import Problem
from orchestrator.core.records import Record
from orchestrator.runs.plan import Plan
from orchestrator.runs.scheduler import Scheduler
from orchestrator.storage.store import Store
from orchestrator.strategies.fallback import Fallback
from orchestrator.strategies.settings import Stop
from orchestrator.testing.fakes import FakePolicy, FakePRM
from tests.unit.orchestrator.runs.ports.test_sharing import SharingPRM
from tests.unit.orchestrator.runs.scheduling import (
    Cells,
    MakePorts,
    Problems,
    after_a_while,
    comparable,
    run,
)


async def test_each_cell_is_charged_the_same_in_any_order_and_at_any_concurrency(
    tmp_path: Path, make_problems: Problems, make_cell: Cells, make_ports: MakePorts
) -> None:
    stop = Stop(rule="beta", confidence=0.9, batch=4)
    then = Fallback(strategy="dvts", n=8, max_depth=3)
    cells = [
        make_cell("best_of_n", n=4), make_cell("best_of_n", n=16), make_cell("majority", n=9),
        make_cell("best_of_n", n=16, stop=stop), make_cell("best_of_n", n=8, stop=stop, then=then),
    ]  # fmt: skip

    def few_texts(node: Node, index: int) -> str:
        draw = derive_seed(node.seed, index)
        last = rf"Therefore \boxed{{{draw % 3}}}"
        return last if len(node.steps) or draw % 2 else f"Step{'s' * (draw % 5)} on\n\n"

    found = []
    for trees, order in ((1, cells), (1, cells[::-1]), (8, cells), (8, cells[::-1])):
        ports = make_ports(
            FakePolicy(script=few_texts, pause=after_a_while(trees)),
            SharingPRM(pause=after_a_while(-trees)),
        )
        plan = Plan(problems=make_problems(8), cells=order, trees=trees)
        folder = tmp_path / str(len(found))
        found.append(comparable(await run(plan, ports, folder)))
    used = [
        [(each.cell, each.problem, each.prm_tokens, each.prm_wasted_tokens) for each in records]
        for records in found
    ]
    assert used[0] == used[1] == used[2] == used[3]
    assert all(tokens for cell, _, tokens, _ in used[0] if "best_of_n" in cell)


async def test_samples_are_kept_no_longer_than_a_problem_needs_them(
    tmp_path: Path, make_problems: Problems, make_cell: Cells, make_ports: MakePorts
) -> None:
    cells = [make_cell("majority", n=4), make_cell("best_of_n", n=4)]
    ports = make_ports(FakePolicy(), FakePRM())
    with Store(tmp_path) as store:
        plan = Plan(problems=make_problems(5), cells=cells, trees=3)
        scheduler = Scheduler(plan, ports, store)
        order = [(problem.id, cell.strategy_name) for cell, problem in store.remaining(plan)]
        await scheduler.run()
    assert [problem for problem, _ in order] == sorted(problem for problem, _ in order)
    assert not +scheduler._left


async def test_strategies_that_read_whole_solutions_share_them_and_each_pays(
    tmp_path: Path, make_problems: Problems, make_cell: Cells, make_ports: MakePorts
) -> None:
    policy, prm = FakePolicy(), FakePRM()
    cells = [make_cell(name, n=n) for name in ("majority", "best_of_n") for n in (4, 8)]
    plan = Plan(problems=make_problems(3), cells=cells)
    records = await run(plan, make_ports(policy, prm), tmp_path)
    assert [request.n for request in policy.requests] == [8, 8, 8]
    assert sum(len(request) for request in prm.requests) == 3 * 8
    by_cell = {(record.strategy, record.n): record for record in records}
    assert by_cell["majority", 8].leaves[0].steps == by_cell["best_of_n", 4].leaves[0].steps
    assert by_cell["majority", 8].policy_tokens == by_cell["best_of_n", 8].policy_tokens
    assert by_cell["majority", 4].policy_tokens < by_cell["majority", 8].policy_tokens


async def test_no_more_is_drawn_than_some_cell_asks_for(
    tmp_path: Path, make_problems: Problems, make_cell: Cells, make_ports: MakePorts
) -> None:
    policy = FakePolicy()
    cells = [
        make_cell("majority", n=4),
        replace(make_cell("best_of_n", n=64), problems=1),
        replace(make_cell("majority", n=8, temperature=1.0), problems=3),
    ]
    records = await run(Plan(problems=make_problems(10), cells=cells), make_ports(policy), tmp_path)
    assert sum(request.n for request in policy.requests) == 64 + 9 * 4 + 3 * 8
    used = {
        (each.problem, each.settings["temperature"], leaf.path): leaf.tokens
        for each in records
        for leaf in each.leaves
    }
    assert policy.tokens == sum(used.values())


@pytest.mark.parametrize("trees", [1, 2, 20])
async def test_problems_of_the_same_text_are_each_paid_for_once(
    tmp_path: Path, make_cell: Cells, make_ports: MakePorts, trees: int
) -> None:
    policy = FakePolicy(pause=after_a_while(trees))
    prm = FakePRM(pause=after_a_while(-trees))
    same = [Problem(id=f"p{i}", question="What is 1 + 1?", answer="2") for i in range(6)]
    cells = [make_cell(name, n=n) for name in ("best_of_n", "majority") for n in (2, 4, 8)]
    plan = Plan(problems=same, cells=cells, trees=trees)
    await run(plan, make_ports(policy, prm), tmp_path)
    assert [request.n for request in policy.requests] == [8] * 6
    assert sum(len(request) for request in prm.requests) == 8 * 6


async def test_a_policy_that_is_done_with_a_problem_leaves_the_others_their_scores(
    tmp_path: Path, make_problems: Problems, make_cell: Cells, make_ports: MakePorts
) -> None:
    small_is_done = asyncio.Event()

    async def wait_for_small(node: Node) -> None:
        if node.tree.problem == "p0" and len(prm.requests) == 1:
            await small_is_done.wait()

    def note(record: Record) -> None:
        if record.policy == "small":
            small_is_done.set()

    prm = FakePRM()
    cells = [
        make_cell("majority", n=2),
        *(make_cell("best_of_n", n=n, policy="large") for n in (4, 2)),
    ]
    ports = make_ports(FakePolicy(pause=wait_for_small), prm, large=FakePolicy())
    with Store(tmp_path) as store:
        plan = Plan(problems=make_problems(1), cells=cells, trees=2)
        await Scheduler(plan, ports, store, on_record=note).run()
    assert sum(len(request) for request in prm.requests) == 4


async def test_policies_that_share_a_prm_keep_their_own_solutions(
    tmp_path: Path, make_problems: Problems, make_cell: Cells, make_ports: MakePorts
) -> None:
    small = FakePolicy(script=lambda node, index: rf"small {index} \boxed{{0}}")
    large = FakePolicy(script=lambda node, index: rf"large {index} \boxed{{1}}")
    plan = Plan(
        problems=make_problems(2),
        cells=[
            make_cell(name, n=4, policy=policy)
            for policy in ("small", "large")
            for name in ("best_of_n", "beam_search")
        ],
    )
    for record in await run(plan, make_ports(small, large=large), tmp_path):
        assert all(leaf.steps[0].startswith(record.policy) for leaf in record.leaves)
