"""Runs whose problems share one cap: kept in every unit, and every problem has an answer."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from orchestrator.core.budget import Limits, Price
from orchestrator.core.node import Node, derive_seed
from orchestrator.core.ports import Sampling
from orchestrator.core.problem import Problem
from orchestrator.core.records import Record
from orchestrator.errors import BudgetExhausted, EndpointUnavailable
from orchestrator.optimal.profile import Gains, Unit
from orchestrator.optimal.shared_budget.caps import MARGIN, Amount, Cap, Seconds
from orchestrator.optimal.shared_budget.marginal_gain import PooledRouting
from orchestrator.optimal.shared_budget.pool import Pool
from orchestrator.runs.endings import STOPPED
from orchestrator.runs.plan import Cell, NamedModel, Plan, Ports
from orchestrator.runs.scheduler import Scheduler
from orchestrator.runs.search import use
from orchestrator.storage.journal import JOURNAL, Journal
from orchestrator.storage.store import Store, read_records
from orchestrator.strategies import Auto
from orchestrator.testing.fakes import FakePolicy, FakePRM
from servers.simulated import clock
from tests.unit.orchestrator.optimal.small_profile import PILOTS, small_gains, small_profile

Problems, Cells, MakePorts = (
    Callable[[int], list[Problem]],
    Callable[..., Cell],
    Callable[..., Ports],
)
COUNT = 24
PRICE = Price(input=1.0, output=2.0)
PROFILE = small_profile()
BATCH = {
    unit: PROFILE.amount(PROFILE.arms[0].bins["hard"].use, unit) for unit in ("tokens", "flops")
} | {"cost": 200e-6}  # fmt: skip
"""What four solutions of the fakes take, about."""


class Killed(Exception):
    """The process ended."""


def is_easy(question: str) -> bool:
    return int(question.split()[2]) % 2 == 0


def is_hopeless(question: str) -> bool:
    return int(question.split()[2]) % 3 == 0


def answers(node: Node, index: int) -> str:
    """Even problems always come to 1, odd ones to any of six numbers."""
    drawn = 1 if is_easy(node.question) else derive_seed(node.seed, index) % 6
    return rf"The answer is $\boxed{{{drawn}}}$."


def certain(question: str, steps: tuple[str, ...]) -> float:
    return 0.9


async def a_second(node: Node) -> None:
    await asyncio.sleep(1.0)


@pytest.fixture
def plan(make_problems: Problems, make_cell: Cells) -> Callable[..., Plan]:
    def plan(
        cap: Cap,
        unit: Unit = "tokens",
        *,
        trees: bool = False,
        width: int = 8,
        budget: float = 1.0,
        gains: Gains | None = None,
    ) -> Plan:
        profile = small_profile(trees=trees)
        if gains:
            profile = msgspec.structs.replace(profile, gains=gains)
        sampling = Sampling(temperature=0.7, max_tokens=100, until="end")
        cell = replace(
            make_cell("auto"),
            strategy=Auto(profile=profile.digest, budget=budget, unit=unit, pool=True),
            policies=(NamedModel(name="small", parameters=1000, price=PRICE),),
            prms=(NamedModel(name="prm", parameters=2000, price=PRICE),),
            routing=PooledRouting(profile, Pool(cap), unit, sampling),
        )
        return Plan(problems=make_problems(COUNT), cells=[cell], trees=width)

    return plan


async def run(
    plan: Plan, folder: Path, make_ports: MakePorts, policy: FakePolicy | None = None
) -> list[Record]:
    ports = make_ports(policy or FakePolicy(script=answers), FakePRM(judge=certain))
    with Store(folder) as store, Journal(folder / JOURNAL) as journal:
        await Scheduler(plan, ports, store, journal).run()
    return sorted(read_records(folder), key=lambda record: record.problem)


def used(records: list[Record], unit: Unit) -> float:
    return sum(PROFILE.amount(use(record), unit) for record in records)  # type: ignore[arg-type]


@pytest.mark.parametrize("width", [1, 8, 100])
@pytest.mark.parametrize("unit", ["tokens", "flops", "cost"])
async def test_the_cap_is_kept_in_every_unit_at_any_concurrency_and_used(
    unit: Unit, width: int, plan: Callable[..., Plan], tmp_path: Path, make_ports: MakePorts
) -> None:
    cap = 2 * COUNT * BATCH[unit]
    records = await run(plan(Amount(cap), unit, width=width), tmp_path, make_ports)
    assert cap - (MARGIN + 1) * BATCH[unit] < used(records, unit) <= cap
    assert all(record.verdicts["auto"].answer is not None for record in records)


async def test_easy_problems_end_with_their_pilots_and_leave_the_rest_to_the_others(
    plan: Callable[..., Plan], tmp_path: Path, make_ports: MakePorts
) -> None:
    records = await run(plan(Amount(3 * COUNT * BATCH["tokens"])), tmp_path, make_ports)
    easy = [len(r.leaves) for i, r in enumerate(in_order(records)) if i % 2 == 0]
    others = [len(r.leaves) for i, r in enumerate(in_order(records)) if i % 2]
    assert set(easy) == {PILOTS}
    assert min(others) > PILOTS
    assert sum(others) / len(others) > 5 * PILOTS


async def test_what_is_settled_or_hopeless_leaves_its_share_to_those_that_may_gain(
    plan: Callable[..., Plan], tmp_path: Path, make_ports: MakePorts
) -> None:
    """Even problems are settled by their pilots; of the odd ones every third is scored like a
    hopeless one, and where it is, no more is drawn whatever is left of the pool."""

    def doubted(question: str, steps: tuple[str, ...]) -> float:
        return 0.001 if is_hopeless(question) else 0.9

    mine = plan(Amount(1e9), gains=small_gains(odds=-2.0))
    ports = make_ports(FakePolicy(script=answers), FakePRM(judge=doubted))
    with Store(tmp_path) as store:
        await Scheduler(mine, ports, store).run()
    drawn: dict[str, set[int]] = {"easy": set(), "hopeless": set(), "others": set()}
    for problem, record in zip(mine.problems, in_order(read_records(tmp_path)), strict=True):
        question = problem.question
        kind = "easy" if is_easy(question) else "hopeless" if is_hopeless(question) else "others"
        drawn[kind].add(len(record.leaves))
        assert record.route and not record.route.cut
    assert drawn["easy"] == drawn["hopeless"] == {PILOTS}
    assert min(drawn["others"]) > PILOTS


async def test_trees_go_on_where_a_smaller_pool_ended_by_expected_gains_too(
    plan: Callable[..., Plan], tmp_path: Path, make_ports: MakePorts
) -> None:
    found = []
    for number, batches in enumerate([2.0, 6.0]):
        cap = Amount(batches * COUNT * BATCH["tokens"])
        mine = plan(cap, gains=small_gains(trees=True), width=1 + number)
        found.append(in_order(await run(mine, tmp_path / str(number), make_ports)))
    for less, more in zip(*found, strict=True):
        assert less.leaves == more.leaves[: len(less.leaves)]
    assert used(found[0], "tokens") < used(found[1], "tokens")


async def test_a_pool_of_more_than_helps_is_not_used_up(
    plan: Callable[..., Plan], tmp_path: Path, make_ports: MakePorts
) -> None:
    records = await run(plan(Amount(1e9)), tmp_path, make_ports)
    assert max(len(record.leaves) for record in records) <= 64
    assert used(records, "tokens") < 1e6


@pytest.mark.parametrize("trees", [False, True])
async def test_a_larger_cap_or_another_concurrency_only_goes_on_where_the_other_ended(
    trees: bool, plan: Callable[..., Plan], tmp_path: Path, make_ports: MakePorts
) -> None:
    found = []
    for number, (batches, width) in enumerate([(1.5, 1), (3.0, 1), (3.0, 1), (3.0, 50), (9.0, 8)]):
        cap = Amount(batches * COUNT * BATCH["tokens"])
        mine = plan(cap, trees=trees, width=width)
        found.append(in_order(await run(mine, tmp_path / str(number), make_ports)))
    for one in found:
        for other in found:
            for mine, theirs in zip(one, other, strict=True):
                shared = min(len(mine.leaves), len(theirs.leaves))
                assert mine.leaves[:shared] == theirs.leaves[:shared]
    assert timeless(found[1]) == timeless(found[2])
    drawn = [sum(len(record.leaves) for record in records) for records in found]
    assert drawn[0] < drawn[1] < drawn[4]


async def test_what_finished_problems_used_counts_when_a_run_goes_on(
    plan: Callable[..., Plan], tmp_path: Path, make_ports: MakePorts
) -> None:
    cap = 3 * COUNT * BATCH["tokens"]
    for calls in (60, 12, None):
        policy = FakePolicy(script=answers, failures={calls: Killed()} if calls else {})
        try:
            records = await run(plan(Amount(cap)), tmp_path, make_ports, policy)
        except Killed:
            continue
    assert len(records) == COUNT
    assert cap * 0.9 < used(records, "tokens") <= cap


@pytest.mark.parametrize("width", [1, 8])
@pytest.mark.parametrize("trees", [False, True])
async def test_a_larger_cap_pays_for_what_is_new_only_and_a_smaller_one_for_nothing(
    trees: bool, width: int, plan: Callable[..., Plan], tmp_path: Path, make_ports: MakePorts
) -> None:
    found, asked, sent = [], [], []
    for batches in (1.5, 3, 3, 2, 1e4):
        cap = batches * COUNT * BATCH["tokens"]
        policy = FakePolicy(script=answers)
        mine = plan(Amount(cap), trees=trees, width=width, budget=cap)
        found.append(in_order(await run(mine, tmp_path, make_ports, policy)))
        asked.append(len(policy.requests))
        sent += [(each.node.question, each.node.seed, each.node.steps) for each in policy.requests]
        assert used(found[-1], "tokens") <= max(cap, 3 * COUNT * BATCH["tokens"])
    first, larger, same, smaller, all_that_helps = found
    for before, after in pairwise([first, larger, all_that_helps]):
        for mine, theirs in zip(before, after, strict=True):
            assert mine.leaves == theirs.leaves[: len(mine.leaves)]
        assert used(before, "tokens") < used(after, "tokens")
    assert larger == same == smaller
    assert asked[0] and asked[1] and not asked[2] and not asked[3] and asked[4]
    assert len(sent) == len(set(sent))  # nothing twice
    assert not any(record.route and record.route.cut for record in all_that_helps)


async def test_a_stopped_run_has_an_answer_for_all_that_wait_and_goes_on_with_them(
    plan: Callable[..., Plan], tmp_path: Path, make_ports: MakePorts
) -> None:
    reached = asyncio.Event()

    async def hold(node: Node) -> None:
        if len(policy.requests) > 2 * COUNT + 10:
            reached.set()
            await asyncio.Event().wait()

    policy = FakePolicy(script=answers, pause=hold)
    cap = 3 * COUNT * BATCH["tokens"]
    running = asyncio.ensure_future(run(plan(Amount(cap)), tmp_path, make_ports, policy))
    await reached.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    records = read_records(tmp_path)
    assert len(records) == COUNT
    assert all(len(record.leaves) >= PILOTS for record in records)
    assert {record.error for record in records} <= {None, STOPPED}
    again = await run(plan(Amount(cap)), tmp_path, make_ports)
    assert all(record.error is None for record in again)
    whole = await run(plan(Amount(cap)), tmp_path / "whole", make_ports)
    for mine, theirs in zip(again, whole, strict=True):
        shared = min(len(mine.leaves), len(theirs.leaves))
        assert mine.leaves[:shared] == theirs.leaves[:shared]


async def test_a_runs_own_budget_ends_a_pool_early_with_answers(
    plan: Callable[..., Plan], tmp_path: Path, make_ports: MakePorts
) -> None:
    cut = replace(plan(Amount(1e9)), limits=Limits(requests=3 * COUNT + 20))
    with pytest.raises(BudgetExhausted, match="requests"):
        await run(cut, tmp_path, make_ports)
    records = read_records(tmp_path)
    assert len(records) == COUNT
    assert all(record.verdicts["auto"].answer is not None for record in records)


async def test_a_run_that_ends_before_all_have_pilots_lets_nobody_wait(
    plan: Callable[..., Plan], tmp_path: Path, make_ports: MakePorts
) -> None:
    cut = replace(plan(Amount(1e9)), limits=Limits(requests=40))
    async with asyncio.timeout(10):
        with pytest.raises(BudgetExhausted, match="requests"):
            await run(cut, tmp_path, make_ports)
    assert 5 < len(read_records(tmp_path)) < COUNT


async def test_problems_that_lose_their_endpoint_hold_nobody_up(
    plan: Callable[..., Plan], tmp_path: Path, make_ports: MakePorts
) -> None:
    gone = EndpointUnavailable("gone", url="")
    policy = FakePolicy(script=answers, failures={1: gone, 2: gone, 7: gone, 60: gone})
    cap = Amount(3 * COUNT * BATCH["tokens"])
    async with asyncio.timeout(10):
        records = await run(plan(cap), tmp_path, make_ports, policy)
    assert len(records) == COUNT
    assert sum(record.failed_branches for record in records) >= 2


async def timed(plan: Plan, folder: Path, make_ports: MakePorts) -> tuple[list[Record], float]:
    """A run and the seconds it takes where each request takes one. Without a journal, for whose
    thread virtual time does not wait."""
    began = asyncio.get_running_loop().time()
    policy = FakePolicy(script=answers, pause=a_second)
    with Store(folder) as store:
        await Scheduler(plan, make_ports(policy, FakePRM(judge=certain)), store).run()
    return read_records(folder), asyncio.get_running_loop().time() - began


def test_the_time_of_a_problem_stands_still_while_it_waits(
    plan: Callable[..., Plan], tmp_path: Path, make_ports: MakePorts
) -> None:
    mine = replace(plan(Amount(1e9), width=1), problem_limits=Limits(seconds=3.5))
    records, took = clock.run(timed(mine, tmp_path, make_ports))
    assert took > 2 * COUNT  # one at a time: each waited for longer than it may take
    for record in records:
        done = (3 * PILOTS, "seconds", 3.5) if record.ran_out else (2 * PILOTS, None, 2.0)
        assert (len(record.leaves), record.ran_out, record.seconds) == done


def test_a_pool_of_seconds_ends_on_time_with_an_answer_for_all(
    plan: Callable[..., Plan], tmp_path: Path, make_ports: MakePorts
) -> None:
    records, took = clock.run(timed(plan(Seconds(20.5), "seconds"), tmp_path, make_ports))
    assert 18.0 <= took <= 20.6
    assert all(record.verdicts["auto"].answer is not None for record in records)


def test_a_pool_whose_time_was_up_before_some_had_their_pilots_goes_on_with_more(
    plan: Callable[..., Plan], tmp_path: Path, make_ports: MakePorts
) -> None:
    found = []
    for seconds in (2.5, 2.5, 40.0):
        mine = plan(Seconds(seconds), "seconds", budget=seconds)
        found.append(clock.run(timed(mine, tmp_path, make_ports))[0])
    short, same, longer = (in_order(records) for records in found)
    assert {len(record.leaves) for record in short} == {0, PILOTS}
    assert same == short
    assert all(len(record.leaves) >= PILOTS for record in longer)


async def test_what_a_larger_pool_would_go_on_with_can_be_asked_without_reopening_it(
    plan: Callable[..., Plan], tmp_path: Path, make_ports: MakePorts
) -> None:
    cap = 2 * COUNT * BATCH["tokens"]
    records = await run(plan(Amount(cap), budget=cap), tmp_path, make_ports)
    cut = {record.problem for record in records if record.route and record.route.cut}
    larger = plan(Amount(2 * cap), budget=2 * cap)
    with Store(tmp_path) as store:
        spent = store.spent.policy_tokens
        assert {problem.id for _, problem in store.remaining(larger)} == cut
        assert not list(store.remaining(plan(Amount(cap), budget=cap)))
        assert store.spent.policy_tokens == spent


def in_order(records: list[Record]) -> list[Record]:
    return sorted(records, key=lambda record: int(record.problem[1:]))


def timeless(records: list[Record]) -> list[Record]:
    return [replace(record, seconds=0.0, ended=0.0) for record in records]
