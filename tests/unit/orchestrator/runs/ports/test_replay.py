import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.budget import Bill, Limits, Price, Spend
from orchestrator.core.confidence import Confidence
from orchestrator.core.node import Node, Tree, Turn, root
from orchestrator.core.ports import Sampling
from orchestrator.core.problem import Problem
from orchestrator.core.records import Record
from orchestrator.errors import BudgetExhausted, EndpointRefused
from orchestrator.runs.plan import Cell, Plan, Ports
from orchestrator.runs.ports.journal_format import (
    packed_samples,
    packed_scores,
    part_key,
    policy_key,
    prm_key,
    unpacked_samples,
    unpacked_scores,
)
from orchestrator.runs.ports.replay import JournaledPolicy, JournaledPRM, Remembering
from orchestrator.runs.scheduler import Scheduler
from orchestrator.storage.journal import JOURNAL, Journal
from orchestrator.storage.store import Store, read_records
from orchestrator.testing.fakes import FakePolicy, FakePRM, chains

STEP = Sampling(temperature=0.7)
ROOT = root("What is 1 + 1?", seed=1, problem_id="p", tree=Tree(key="tree"))
REFUSED = EndpointRefused("the key is gone", url="")

texts = st.text(max_size=20)
counts = st.integers(0, 10**9)
parts = st.lists(st.binary(max_size=8), max_size=3).map(tuple)
finishes = st.sampled_from([None, "stop", "length", "overflow"])
floats = st.floats(allow_nan=False, allow_infinity=False)
nodes = st.builds(
    Node,
    question=texts,
    seed=counts,
    path=st.lists(st.integers(0, 99), max_size=4).map(tuple),
    steps=st.lists(texts, max_size=4).map(tuple),
    token_ids=st.none() | parts,
    scores=st.lists(floats, max_size=4).map(tuple),
    tokens=counts,
)
samplings = st.builds(
    Sampling,
    temperature=st.floats(0, 2),
    top_p=st.floats(0, 1),
    max_tokens=counts,
    until=st.sampled_from(["step", "end"]),
)


@given(
    nodes,
    st.lists(
        st.tuples(st.lists(texts, max_size=3).map(tuple), finishes, st.none() | parts, counts),
        min_size=1,
        max_size=5,
    ),
    counts,
    st.none() | st.floats(-20, 0),
)
def test_a_policys_response_comes_back_as_it_was(
    node: Node, samples: list[tuple[Any, Any, Any, int]], prompt: int, question: float | None
) -> None:
    children = [
        node.child(
            3 * i,
            steps,
            finish=finish,
            token_ids=None if added is None else (*(node.token_ids or ()), *added),
            step_tokens=tokens,
            prompt_tokens=prompt,
            cached_tokens=prompt // 2,
            confidence=Confidence(mean=-tokens / 7, tail=-1.0, lowest=-9.0) if finish else None,
            question_logprob=question,
        )
        for i, (steps, finish, added, tokens) in enumerate(samples)
    ]
    again = unpacked_samples(node, packed_samples(node, children))
    assert again == children
    assert [each.confidence for each in again] == [each.confidence for each in children]
    assert [each.question_logprob for each in again] == [question] * len(children)


@given(st.lists(st.tuples(nodes, st.lists(floats, max_size=6), finishes, counts), max_size=4))
def test_a_prms_response_comes_back_to_the_last_digit(
    judged: list[tuple[Node, list[float], Any, int]],
) -> None:
    asked = [node for node, *_ in judged]
    scored = []
    for node, scores, finish, tokens in judged:
        answer = node.scored(scores, tokens, tokens // 2, tokens // 3)
        scored.append(answer.ended(finish) if finish else answer)
    body = packed_scores(asked, scored)
    assert [unpacked_scores(node, body, i) for i, node in enumerate(asked)] == scored


@given(nodes, st.integers(1, 99), samplings)
def test_a_key_depends_on_all_that_is_asked_and_on_nothing_else(
    node: Node, n: int, sampling: Sampling
) -> None:
    key = policy_key("m", node, n, sampling)
    same = replace(node, tokens=7, scores=(0.5,), token_ids=None, tree=Tree(number=9))
    assert policy_key("m", same, n, sampling) == key
    others = [
        policy_key("other", node, n, sampling),
        policy_key("m", node, n + 1, sampling),
        policy_key("m", node, n, replace(sampling, max_tokens=sampling.max_tokens + 1)),
        policy_key("m", replace(node, seed=node.seed + 1), n, sampling),
        policy_key("m", replace(node, path=(*node.path, 0)), n, sampling),
        policy_key("m", replace(node, question=node.question + "x"), n, sampling),
        policy_key("m", replace(node, steps=(*node.steps, "")), n, sampling),
        policy_key("m", replace(node, earlier=(Turn("user", "Are you sure?"),)), n, sampling),
        prm_key("m", node),
        prm_key("other", node),
        prm_key("m", node.ended("stop")),
    ]
    assert len({key, *others}) == len(others) + 1


def test_the_keys_of_one_turn_are_those_of_every_journal_before() -> None:
    start = root("What is 1 + 1?", seed=1, problem_id="p")
    node = start.child(2, ("a\n\n",)).fork(1).child(0, ("2",), finish="stop")
    assert policy_key("m", node, 4, STEP).hex() == "df3bb0ab006491a5f7e406f4174ffebc"
    assert prm_key("m", node).hex() == "1a1f6ec497ba519a2e786c0bb69ca13c"
    whole = Sampling(temperature=0.7, top_p=0.9, max_tokens=64, until="end", logprobs=True)
    start = root("What is 1 + 1?", seed=1, problem_id="p").child(2, ("One.\n\n",))
    assert policy_key("m", start, 4, whole).hex() == "d41103d0b4379fffdebd4ee0a4dcb977"
    assert part_key(bytes.fromhex("91375398b379a4c6dfa67916ead4a1e3"), 3).hex() == (
        "5bc66162953e7b53fd867c317d325b90"
    )


def test_asking_how_likely_the_question_is_has_a_key_of_its_own() -> None:
    node = root("What is 1 + 1?", seed=1, problem_id="p")
    asked = replace(STEP, question_logprob=True)
    keys = {policy_key("m", node, 1, each) for each in (STEP, asked, replace(asked, logprobs=True))}
    assert len(keys) == 3


def test_a_journal_from_before_knows_the_mean_alone_which_stands_for_every_measure() -> None:
    node = root("What is 1 + 1?", seed=1, problem_id="p")
    body = b'[[[[0,["2"],"stop",null,3,-0.25],[1,["3"],"stop",null,2]],7,0]]'
    sure, *others = unpacked_samples(node, body)
    assert sure.confidence == Confidence.level(-0.25)
    assert [each.confidence for each in others] == [None]
    assert sure.question_logprob is None


def test_where_a_step_ends_is_part_of_the_key() -> None:
    one, two = replace(ROOT, steps=("ab", "c")), replace(ROOT, steps=("a", "bc"))
    assert prm_key("m", one) != prm_key("m", two)


# Through the ports


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
