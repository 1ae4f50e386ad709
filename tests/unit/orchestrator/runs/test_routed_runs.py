"""Runs whose problems are routed one by one."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.core.node import Node
from orchestrator.core.ports import Models, Sampling
from orchestrator.core.problem import Problem
from orchestrator.core.records import Record
from orchestrator.errors import EndpointUnavailable
from orchestrator.optimal.routing.routed import SeparateRouting, pilots
from orchestrator.optimal.routing.router import ProfileRouter, evidence
from orchestrator.runs.answers import AnsweringPolicy, AnswerReader
from orchestrator.runs.plan import Cell, Plan, Ports
from orchestrator.runs.scheduler import Scheduler
from orchestrator.storage.store import Store, read_records
from orchestrator.testing.fakes import FakePolicy, FakePRM
from tests.unit.orchestrator.conftest import BoxTask
from tests.unit.orchestrator.optimal.small_profile import PILOTS, small_profile

GONE = EndpointUnavailable("gone", url="")

Run = Callable[..., Awaitable[list[Record]]]


@pytest.fixture
def run(
    make_problems: Callable[[int], list[Problem]],
    make_cell: Callable[..., Cell],
    make_ports: Callable[..., Ports],
    tmp_path: Path,
) -> Run:
    async def run(
        *,
        trees: int = 1,
        problems: int = 20,
        policy_fails: Mapping[int, Exception] | None = None,
        prm_fails: Mapping[int, Exception] | None = None,
        followed: bool = False,
        one_per_request: bool = False,
    ) -> list[Record]:
        whole = Sampling(temperature=0.7, max_tokens=100, until="end")
        router = ProfileRouter(small_profile(followed=followed), 200.0)
        routing = SeparateRouting(router=router, sampling=whole)
        cell = replace(make_cell("auto"), routing=routing)
        ports = make_ports(
            FakePolicy(failures=policy_fails or {}), FakePRM(failures=prm_fails or {})
        )
        if one_per_request:
            ports = replace(ports, one_per_request=frozenset({"small"}))
        folder = tmp_path / f"{trees}-{problems}"
        with Store(folder) as store:
            plan = Plan(problems=make_problems(problems), cells=[cell], trees=trees)
            await Scheduler(plan, ports, store).run()
        found = sorted(read_records(folder), key=lambda record: record.problem)
        return [replace(record, seconds=0.0, ended=0.0) for record in found]

    return run


async def test_the_same_trees_and_decisions_come_of_any_concurrency(run: Run) -> None:
    one, many = [await run(trees=trees) for trees in (1, 20)]
    assert one == many
    assert len({record.route.bin for record in one}) > 1


async def test_a_tree_search_joins_the_samples_of_those_that_they_leave_unsettled(run: Run) -> None:
    records = await run(followed=True)
    ways = [each for each in records if each.route and "then" in each.route.settings]
    assert {len(each.leaves) for each in ways} == {8, 16 + 4}  # DVTS of 16 answers with four
    for each in ways:
        assert len({leaf.path for leaf in each.leaves}) == len(each.leaves)


class NearTask(BoxTask):
    """Calls numbers equal that are at most a half apart."""

    async def same(self, problem: Problem, a: str, b: str) -> bool | None:
        return abs(float(a) - float(b)) <= 0.5


@pytest.mark.parametrize("late", ["the greedy one", "the others", "none"])
async def test_pilots_show_the_same_whichever_come_first(late: str) -> None:
    """3.4 is near to both of two answers that are not near to each other."""

    def script(node: Node, index: int) -> str:
        answer = ["3.4", "3.8"][index % 2] if node.path else "3.0"
        return rf"It is \boxed{{{answer}}}."

    async def pause(node: Node) -> None:
        if late == ("the others" if node.path else "the greedy one"):
            await asyncio.sleep(0.001)

    problem = Problem(id="p", question="What is 1 + 2?", answer="3")
    root, reader = Node(question=problem.question, seed=1), AnswerReader(NearTask(), problem)
    policy = AnsweringPolicy(FakePolicy(script=script, pause=pause), reader)
    whole = Sampling(temperature=0.7, max_tokens=100, until="end")
    shown = evidence(await pilots(root, Models(policy, FakePRM()), PILOTS, whole))
    assert (shown["agreement"], shown["backing"]) == (1.0, 1.0)


@pytest.mark.parametrize("asked", [False, True])
async def test_only_the_greedy_pilot_brings_what_the_predictor_reads(asked: bool) -> None:
    whole = Sampling(temperature=0.7, max_tokens=100, until="end", logprobs=asked)
    root, models = Node(question="What is 1 + 2?", seed=1), Models(FakePolicy(), FakePRM())
    for reads in [(), ("confidence",), ("agreement", "question_logprob")]:
        first, *others = await pilots(root, models, PILOTS, whole, reads=reads)
        assert (first.confidence is not None) == (asked or "confidence" in reads)
        assert (first.question_logprob is not None) == ("question_logprob" in reads)
        assert all((each.confidence is not None) == asked for each in others)
        assert all(each.question_logprob is None for each in others)


async def test_pilots_that_are_lost_leave_the_decision_to_the_others(run: Run) -> None:
    (record,) = await run(problems=1, policy_fails={1: GONE})
    assert (record.failed_branches, record.error) == (1, None)
    assert record.route is not None and len(record.leaves) >= PILOTS - 1


async def test_no_pilot_votes_twice_where_the_others_are_lost(run: Run) -> None:
    lost = {1: GONE, 3: GONE, 4: GONE}  # the greedy one, and two of the other three
    (record,) = await run(problems=1, policy_fails=lost, one_per_request=True)
    assert record.error is None
    assert len({leaf.path for leaf in record.leaves}) == len(record.leaves) > 1
    assert len({leaf.steps for leaf in record.leaves}) == len(record.leaves)


async def test_pilots_that_could_not_be_scored_answer_all_the_same(run: Run) -> None:
    (record,) = await run(problems=1, prm_fails={1: GONE})
    assert record.error is None
    assert record.route is not None and len(record.leaves) >= PILOTS


async def test_without_one_pilot_the_failure_is_told(run: Run) -> None:
    (record,) = await run(problems=1, policy_fails={1: GONE, 2: GONE})
    assert (record.ran_out, record.error, record.route) == ("endpoint", "gone", None)
