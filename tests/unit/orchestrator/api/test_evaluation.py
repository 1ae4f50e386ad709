"""``orchard.evaluate`` on models without a server."""

import asyncio
import json
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

import orchestrator as orchard
from orchestrator.core.node import Node
from orchestrator.optimal.cascade.plan import Cascade
from orchestrator.optimal.profile import dumped
from orchestrator.testing import FakePolicy, FakePRM
from tests.unit.orchestrator.optimal.small_across import profile_of
from tests.unit.orchestrator.optimal.small_plan import GREEDY, LARGE, PILOTS

PROBLEMS = [
    orchard.Problem(id=f"p{i}", question=f"What is {i} + 1?", answer=str(i % 3)) for i in range(6)
]
STRATEGIES = [
    orchard.CoT(),
    orchard.BestOfN(n=4),
    orchard.BeamSearch(n=4, width=2),
    orchard.Auto(fallback_n=4),
]


@dataclass(frozen=True, slots=True)
class Trusted:
    least: float = 0.5
    name: ClassVar[str] = "trusted"

    def weights(self, voters: Any, classes: Any) -> list[float | None]:
        return [1.0 if min(each.scores, default=0.0) >= self.least else None for each in voters]


@dataclass(frozen=True, slots=True, kw_only=True)
class Twice:
    needs: ClassVar[frozenset[str]] = frozenset()
    n: int = 2

    async def __call__(self, root: Node, models: orchard.Models) -> list[Node]:
        sampling = orchard.Sampling(temperature=0.7, until="end")
        return await models.policy.extend(root, self.n, sampling)


async def evaluate(
    policy: Any = None,
    strategies: Any = STRATEGIES,
    problems: Any = PROBLEMS,
    **settings: Any,
) -> list[orchard.Record]:
    policy = policy or FakePolicy()
    async with orchard.connect(policy=policy, prm=FakePRM()) as models:
        return [each async for each in orchard.evaluate(problems, models, strategies, **settings)]


def key(record: orchard.Record) -> tuple[str, str]:
    return record.cell, record.problem


async def test_every_strategy_gives_a_record_of_every_problem() -> None:
    records = await evaluate()
    assert len({key(record) for record in records}) == len(STRATEGIES) * len(PROBLEMS)
    assert {record.strategy for record in records} == {"cot", "best_of_n", "beam_search", "auto"}
    assert all(record.leaves and record.policy == "policy" for record in records)


async def test_auto_by_a_profile_across_models_is_one_cell_of_all_its_models(
    tmp_path: Path,
) -> None:
    policies = ("policy", "policy-2")
    plans = {
        1e3: Cascade(pilots=PILOTS, first=replace(GREEDY, policy="policy")),
        1e6: Cascade(pilots=PILOTS, first=replace(LARGE, policy="policy-2")),
    }
    profile = tmp_path / "across.yaml"
    profile.write_text(dumped(profile_of(plans, task="problems", policies=policies)))
    autos = [orchard.Auto(profile=str(profile), budget=each, unit="flops") for each in plans]
    records = await evaluate([FakePolicy(), FakePolicy()], [*autos, orchard.CoT()])
    routed = [record for record in records if record.strategy == "auto"]
    assert len(routed) == 2 * len(PROBLEMS) and len(records) == 4 * len(PROBLEMS)
    assert {record.policy for record in routed} == {"policy, policy-2"}
    for budget, policy in zip(plans, policies, strict=True):
        own = [record for record in routed if record.settings["budget"] == budget]
        assert {record.route.policy for record in own if record.route} == {policy}
        assert all(record.models[policy].answered and record.leaves for record in own)


class Capitals(orchard.Task):
    async def extract(self, problem: orchard.Problem, text: str) -> str | None:
        return text.removeprefix("Answer: ") or None

    async def same(self, problem: orchard.Problem, a: str, b: str) -> bool | None:
        return a.casefold() == b.casefold()


async def test_a_task_of_ones_own_grades_a_whole_run_and_is_kept_in_its_directory(
    tmp_path: Path,
) -> None:
    cities = ("PARIS", "paris", "Lyon", "Rome")
    policy = FakePolicy(script=lambda node, index: f"Answer: {cities[index]}")
    problems = [
        orchard.Problem(id="fr", question="The capital of France?", answer="Paris"),
        orchard.Problem(id="it", question="The capital of Italy?", answer="Rome"),
    ]
    majority = [orchard.MajorityVoting(n=4)]
    async with orchard.connect(policy=policy, task=Capitals()) as models:
        run = orchard.evaluate(problems, models, majority, out=tmp_path / "run")
        records = {record.problem: record async for record in run}
    assert records["fr"].verdicts["majority"].correct is True
    assert records["it"].verdicts["majority"].correct is False
    assert [leaf.correct for leaf in records["it"].leaves] == [False, False, False, True]
    assert f"kind: {__name__}:Capitals" in (tmp_path / "run" / "config.yaml").read_text()


async def test_a_task_of_one_run_grades_it_over_models_that_are_connected_for_another() -> None:
    policy = FakePolicy(script=lambda node, index: "Answer: PARIS")
    problems = [orchard.Problem(id="fr", question="The capital of France?", answer="Paris")]
    (record,) = await evaluate(policy, [orchard.CoT()], problems, task=Capitals())
    assert record.verdicts["majority"].correct is True


async def test_a_problem_without_a_reference_is_for_solve() -> None:
    with pytest.raises(orchard.ConfigError, match="p has no reference answer"):
        await evaluate(problems=[orchard.Problem(id="p", question="What is 1 + 1?")])


async def test_records_come_as_they_finish_not_when_all_have() -> None:
    held = asyncio.Event()

    async def last_waits(node: Node) -> None:
        if node.question == PROBLEMS[-1].question:
            await held.wait()

    async with orchard.connect(policy=FakePolicy(pause=last_waits)) as models:
        seen = []
        async for record in orchard.evaluate(PROBLEMS, models, [orchard.CoT()]):
            seen.append(record.problem)
            if len(seen) == len(PROBLEMS) - 1:
                held.set()
    assert seen[-1] == PROBLEMS[-1].id and len(seen) == len(PROBLEMS)


async def test_with_a_directory_another_call_goes_on_and_pays_nothing_twice(tmp_path: Path) -> None:
    first = await evaluate(problems=PROBLEMS[:4], out=tmp_path / "x")
    policy = FakePolicy()
    again = await evaluate(policy, out=tmp_path / "x")
    assert again[: len(first)] == first
    assert {record.problem for record in again[len(first) :]} == {"p4", "p5"}
    assert {asked.node.question for asked in policy.requests} == {
        problem.question for problem in PROBLEMS[4:]
    }


async def test_a_directory_does_not_depend_on_where_it_is_written_or_on_the_order_of_calls(
    tmp_path: Path,
) -> None:
    at_once = await evaluate(out=tmp_path / "one")
    await evaluate(problems=PROBLEMS[:2], out=tmp_path / "two")
    in_parts = await evaluate(out=tmp_path / "two")
    leaves = [{key(each): each.leaves for each in records} for records in (at_once, in_parts)]
    assert leaves[0] == leaves[1]


async def test_a_directory_of_other_problems_under_the_same_ids_is_refused(tmp_path: Path) -> None:
    await evaluate(out=tmp_path)
    other = [orchard.Problem(id="p0", question="What is 9 + 9?", answer="18")]
    with pytest.raises(orchard.RunError, match="another problem called 'p0'"):
        await evaluate(problems=other, out=tmp_path)


async def test_a_directory_of_another_seed_is_refused(tmp_path: Path) -> None:
    await evaluate(out=tmp_path)
    with pytest.raises(orchard.RunError, match="another config"):
        await evaluate(out=tmp_path, seed=5)


async def test_two_problems_of_one_id_are_refused() -> None:
    with pytest.raises(orchard.ConfigError, match="the same id"):
        await evaluate(problems=[PROBLEMS[0], PROBLEMS[0]])


async def test_limits_hold_for_each_problem_and_a_budget_for_all() -> None:
    limited = await evaluate(strategies=[STRATEGIES[2]], limits=orchard.Limits(requests=2))
    assert {record.ran_out for record in limited} == {"requests"}
    with pytest.raises(orchard.BudgetExhausted):
        await evaluate(strategies=[STRATEGIES[2]], budget=orchard.Limits(requests=8), concurrency=1)


async def test_no_more_trees_are_in_flight_than_asked_for() -> None:
    most = in_flight = 0

    async def count(node: Node) -> None:
        nonlocal most, in_flight
        in_flight += 1
        most = max(most, in_flight)
        await asyncio.sleep(0)
        in_flight -= 1

    await evaluate(FakePolicy(pause=count), strategies=[orchard.CoT()], concurrency=2)
    assert most == 2


async def test_who_takes_no_more_records_ends_what_is_under_way() -> None:
    ended = asyncio.Event()

    async def forever(node: Node) -> None:
        if node.question != PROBLEMS[0].question:
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                ended.set()

    async with orchard.connect(policy=FakePolicy(pause=forever)) as models:
        async with aclosing(orchard.evaluate(PROBLEMS, models, [orchard.CoT()])) as records:
            async for record in records:
                assert record.problem == "p0"
                break
        assert ended.is_set()


async def test_what_is_refused_is_raised_as_it_is(tmp_path: Path) -> None:
    refused = orchard.EndpointRefused("wrong key", url="http://policy")
    with pytest.raises(orchard.EndpointRefused, match="wrong key"):
        await evaluate(FakePolicy(failures={1: refused}), strategies=[orchard.CoT()])


async def test_a_strategy_and_a_vote_of_ones_own_are_records_like_the_others(
    tmp_path: Path,
) -> None:
    strategies, votes = [Twice(n=3), orchard.BestOfN(n=3)], [Trusted(0.4)]
    records = await evaluate(strategies=strategies, votes=votes, out=tmp_path)
    own = [record for record in records if record.strategy.endswith(":Twice")]
    assert len(own) == len(PROBLEMS) and all(len(record.leaves) == 3 for record in own)
    assert all("trusted" in record.verdicts for record in records)
    again = await evaluate(strategies=strategies, votes=votes, out=tmp_path)
    assert sorted(again, key=key) == sorted(records, key=key)


async def test_levels_and_odd_texts_of_problems_come_back_in_their_records(tmp_path: Path) -> None:
    problem = orchard.Problem(id="ü/1", question='Say "½"\n.', answer="½", level="Level 3")
    (record,) = await evaluate(problems=[problem], strategies=[orchard.CoT()], out=tmp_path)
    assert (record.problem, record.level) == ("ü/1", "Level 3")
    kept = json.loads((tmp_path / "problems.jsonl").read_text())
    assert kept["question"] == problem.question
