import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.core.budget import Bill, Limits, Price, Spend
from orchestrator.core.node import Node, Tree, root
from orchestrator.core.ports import Sampling
from orchestrator.core.problem import Problem
from orchestrator.core.records import Record
from orchestrator.errors import BudgetExhausted, EndpointRefused
from orchestrator.runs.plan import Cell, Plan, Ports
from orchestrator.runs.ports.replay import JournaledPolicy, JournaledPRM, Remembering
from orchestrator.runs.scheduler import Scheduler
from orchestrator.storage.journal import JOURNAL, Journal
from orchestrator.storage.store import Store, read_records
from orchestrator.testing.fakes import FakePolicy, FakePRM, chains

STEP = Sampling(temperature=0.7)
ROOT = root("What is 1 + 1?", seed=1, problem_id="p", tree=Tree(key="tree"))
REFUSED = EndpointRefused("the key is gone", url="")


def memory(journal: Journal) -> Remembering:
    return Remembering(journal, Spend())


async def test_what_was_answered_before_is_not_asked_again(tmp_path: Path) -> None:
    with Journal(tmp_path / JOURNAL) as journal:
        policy = JournaledPolicy(FakePolicy(), "small", memory(journal))
        prm = JournaledPRM(FakePRM(), "prm", memory(journal))
        children = await policy.extend(ROOT, 4, STEP)
        scored = await prm.score(children)
    silent, deaf = FakePolicy(failures={1: REFUSED}), FakePRM(failures={1: REFUSED})
    with Journal(tmp_path / JOURNAL) as journal:
        remembered = memory(journal)
        policy = JournaledPolicy(silent, "small", remembered)
        prm = JournaledPRM(deaf, "prm", remembered)
        assert await policy.extend(ROOT, 4, STEP) == children
        assert await prm.score(children) == scored
        assert (silent.requests, deaf.requests) == ([], [])
        tokens = sum(child.step_tokens for child in children)
        read = sum(node.prm_tokens for node in scored)
        assert remembered.replayed == Spend(
            requests=2, policy_tokens=tokens, prompt_tokens=5, prm_tokens=read
        )
        with pytest.raises(EndpointRefused):
            await policy.extend(children[0], 4, STEP)


async def test_another_tree_does_not_see_it(tmp_path: Path) -> None:
    with Journal(tmp_path / JOURNAL) as journal:
        await JournaledPolicy(FakePolicy(), "small", memory(journal)).extend(ROOT, 4, STEP)
    policy = FakePolicy()
    with Journal(tmp_path / JOURNAL) as journal:
        other = replace(ROOT, tree=Tree(key="another"))
        await JournaledPolicy(policy, "small", memory(journal)).extend(other, 4, STEP)
    assert len(policy.requests) == 1


async def test_of_nodes_scored_in_other_company_only_the_missing_ones_are_asked_for(
    tmp_path: Path,
) -> None:
    children = await FakePolicy().extend(ROOT, 5, STEP)
    with Journal(tmp_path / JOURNAL) as journal:
        await JournaledPRM(FakePRM(), "prm", memory(journal)).score(children[1:3])
    prm = FakePRM()
    with Journal(tmp_path / JOURNAL) as journal:
        scored = await JournaledPRM(prm, "prm", memory(journal)).score(children)
    assert scored == await FakePRM().score(children)
    assert [[node.path[-1] for node in request] for request in prm.requests] == [[0, 3, 4]]


# Through a whole run

Problems, Cells, MakePorts = (
    Callable[[int], list[Problem]],
    Callable[..., Cell],
    Callable[..., Ports],
)


class Killed(BaseException):
    """The process ends here; what its journal was given before is all that is left."""


def killing_after(requests: int) -> Callable[[Node], Any]:
    left = requests

    async def pause(node: Node) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed
        await asyncio.sleep(0)

    return pause


async def run(plan: Plan, ports: Ports, folder: Path) -> Spend:
    """Run a plan to its end, and say what the journal remembered."""
    with Store(folder) as store, Journal(folder / JOURNAL) as journal:
        scheduler = Scheduler(plan, ports, store, journal)
        await scheduler.run()
        return scheduler.progress.replayed


def comparable(folder: Path) -> list[Record]:
    timeless = [replace(record, seconds=0.0) for record in read_records(folder)]
    return sorted(timeless, key=lambda record: (record.cell, record.problem))


@pytest.mark.parametrize("one_per_request", [frozenset(), frozenset({"small"})])
async def test_a_run_killed_again_and_again_grows_the_same_trees_and_pays_once(
    tmp_path: Path,
    make_problems: Problems,
    make_cell: Cells,
    make_ports: MakePorts,
    one_per_request: frozenset[str],
) -> None:
    cells = [
        make_cell("beam_search", n=8), make_cell("dvts", n=8), make_cell("best_of_n", n=4),
        make_cell("majority", n=8), make_cell("cot"),
    ]  # fmt: skip
    plan = Plan(problems=make_problems(6), cells=cells, seed=3, trees=4)
    policy, prm = FakePolicy(), FakePRM()
    whole = replace(make_ports(policy, prm), one_per_request=one_per_request)
    await run(plan, whole, tmp_path / "whole")
    policies, prms = [FakePolicy(pause=killing_after(25)) for _ in range(40)], FakePRM()
    for killed in policies:
        ports = replace(make_ports(killed, prms), one_per_request=one_per_request)
        try:
            await run(plan, ports, tmp_path / "killed")
        except Killed:
            continue
        break
    assert killed is not policies[0]
    assert comparable(tmp_path / "killed") == comparable(tmp_path / "whole")
    answered = sum(min(25, len(killed.requests)) for killed in policies)
    in_flight = 8 * 4 * sum(len(killed.requests) > 25 for killed in policies)
    assert answered <= len(policy.requests) + in_flight
    assert len(prms.requests) <= len(prm.requests) + in_flight


async def test_a_tree_that_lost_its_endpoint_pays_only_for_what_is_missing(
    tmp_path: Path, make_problems: Problems, make_cell: Cells, make_ports: MakePorts
) -> None:
    plan = Plan(
        problems=make_problems(1), cells=[make_cell("beam_search", n=8)], limits=Limits(requests=5)
    )
    first = FakePolicy(script=chains(depth=6))
    with pytest.raises(BudgetExhausted):
        await run(plan, make_ports(first), tmp_path / "cut")
    again, whole = FakePolicy(script=chains(depth=6)), FakePolicy(script=chains(depth=6))
    replayed = await run(replace(plan, limits=Limits()), make_ports(again), tmp_path / "cut")
    await run(replace(plan, limits=Limits()), make_ports(whole), tmp_path / "whole")
    assert comparable(tmp_path / "cut") == comparable(tmp_path / "whole")
    assert len(first.requests) + len(again.requests) == len(whole.requests)
    assert replayed.requests == 5


async def test_what_was_paid_before_counts_towards_the_budget_and_is_told_apart(
    tmp_path: Path, make_problems: Problems, make_cell: Cells, make_ports: MakePorts
) -> None:
    plan = Plan(problems=make_problems(2), cells=[make_cell("beam_search", n=8)])
    with pytest.raises(Killed):
        await run(plan, make_ports(FakePolicy(pause=killing_after(4))), tmp_path)
    with Store(tmp_path) as store, Journal(tmp_path / JOURNAL) as journal:
        scheduler = Scheduler(plan, make_ports(), store, journal)
        await scheduler.run()
    progress = scheduler.progress
    total = sum(record.policy_tokens for record in read_records(tmp_path))
    assert progress.ledger.spent.policy_tokens == total
    assert 0 < progress.replayed.policy_tokens < total
    assert progress.spent.policy_tokens == total - progress.replayed.policy_tokens


@pytest.mark.parametrize("one_per_request", [frozenset(), frozenset({"small"})])
async def test_what_a_session_spent_is_what_it_sent_whoever_shares_it(
    tmp_path: Path,
    make_problems: Problems,
    make_cell: Cells,
    make_ports: MakePorts,
    one_per_request: frozenset[str],
) -> None:
    cells = [make_cell("best_of_n", n=16), make_cell("majority", n=8), make_cell("majority", n=4)]
    sent = []
    for some in (cells[:1], cells):  # the first session has finished what the second one shares
        policy, prm = FakePolicy(), FakePRM()
        ports = replace(make_ports(policy, prm), one_per_request=one_per_request)
        plan = Plan(problems=make_problems(3), cells=some)
        with Store(tmp_path) as store, Journal(tmp_path / JOURNAL) as journal:
            scheduler = Scheduler(plan, ports, store, journal)
            await scheduler.run()
        spent = scheduler.progress.spent
        assert (spent.policy_tokens, spent.prm_tokens) == (policy.tokens, prm.tokens)
        assert spent.requests == len(policy.requests) + len(prm.requests)
        sent.append(spent)
    assert sent[0].requests == 3 * (16 if one_per_request else 1) + 3
    assert sent[1] == Spend()
    assert scheduler.progress.replayed.policy_tokens == sent[0].policy_tokens


async def test_what_several_strategies_share_was_paid_once_and_what_is_replayed_not_again(
    tmp_path: Path, make_problems: Problems, make_cell: Cells, make_ports: MakePorts
) -> None:
    price = Price(input=1e6, output=1e6)
    cells = [make_cell("majority", n=4), make_cell("best_of_n", n=4)]
    priced = [replace(cell, policies=(replace(cell.policy, price=price),)) for cell in cells]
    plan = Plan(problems=make_problems(2), cells=priced)

    def billed(prm: FakePRM | None = None) -> tuple[Ports, Bill]:
        bill = Bill()
        return replace(make_ports(FakePolicy(), prm), bill=bill), bill

    ports, whole = billed()
    await run(plan, ports, tmp_path / "whole")
    ports, first = billed(prm=FakePRM(failures={1: REFUSED}))
    with pytest.raises(EndpointRefused):
        await run(plan, ports, tmp_path / "cut")
    with Journal(tmp_path / "cut" / JOURNAL) as journal:
        assert journal.paid == first.paid > 0
    ports, second = billed()
    await run(plan, ports, tmp_path / "cut")
    assert first.paid + second.paid == whole.paid
    with Journal(tmp_path / "cut" / JOURNAL) as journal:
        assert journal.paid == whole.paid
    charged = sum(record.cost for record in read_records(tmp_path / "cut"))
    assert charged == 2 * whole.paid  # as if each had run alone


async def test_a_limit_of_the_cost_counts_what_is_shared_once(
    tmp_path: Path, make_problems: Problems, make_cell: Cells, make_ports: MakePorts
) -> None:
    price = Price(input=1e6, output=1e6)
    cells = [make_cell("majority", n=4), make_cell("majority", n=2)]
    priced = [replace(cell, policies=(replace(cell.policy, price=price),)) for cell in cells]
    plan = Plan(problems=make_problems(2), cells=priced, trees=1)
    free = Bill()
    await run(plan, replace(make_ports(FakePolicy()), bill=free), tmp_path / "free")
    most = 1.2 * free.paid
    bounded = replace(plan, limits=Limits(cost=most))
    ports = replace(make_ports(FakePolicy()), bill=Bill(limit=most))
    await run(bounded, ports, tmp_path / "bounded")
    records = read_records(tmp_path / "bounded")
    assert sum(record.cost for record in records) > most
    assert [record.error for record in records] == [None] * 4


async def test_shared_solutions_are_remembered_for_every_strategy(
    tmp_path: Path, make_problems: Problems, make_cell: Cells, make_ports: MakePorts
) -> None:
    cells: Sequence[Cell] = [make_cell("majority", n=4), make_cell("best_of_n", n=8)]
    plan = Plan(problems=make_problems(3), cells=[cells[0]])
    both = replace(plan, cells=list(cells))
    deaf = FakePRM(failures={1: REFUSED})
    with pytest.raises(EndpointRefused):
        await run(both, make_ports(FakePolicy(), deaf), tmp_path)
    policy = FakePolicy()
    await run(both, make_ports(policy), tmp_path)
    assert policy.requests == []
    assert {record.strategy for record in read_records(tmp_path)} == {"majority", "best_of_n"}
