from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.json import Decoder

from orchestrator.core.budget import Ledger, Limits
from orchestrator.core.node import Node
from orchestrator.core.problem import Problem
from orchestrator.errors import BudgetExhausted
from orchestrator.evaluation.drawing import SAMPLING, DrawnSolution, draw
from orchestrator.evaluation.samples import LabelledSolution
from orchestrator.formats.jsonlines import JsonLines
from orchestrator.testing.fakes import FakePolicy

WANTED = {
    f"p{i}/policy": Problem(id=f"p{i}", question=f"Question {i}?", answer="2") for i in range(6)
}


def label(problem: Problem, solution: Node) -> LabelledSolution:
    return LabelledSolution(id=problem.id, problem=problem.question, steps=solution.steps, label=0)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[JsonLines[DrawnSolution]]:
    with JsonLines(tmp_path / "chains.jsonl", Decoder(DrawnSolution).decode) as opened:
        yield opened


async def test_each_problem_gets_one_sampled_solution(journal: JsonLines[DrawnSolution]) -> None:
    policy, ticks = FakePolicy(), []
    await draw(
        WANTED,
        policy,
        label,
        journal,
        seed=0,
        in_flight=3,
        ledger=Ledger(),
        tick=lambda: ticks.append(1),
    )
    assert len(policy.requests) == len(ticks) == len(WANTED)
    assert {asked.sampling for asked in policy.requests} == {SAMPLING}
    assert SAMPLING.temperature == 0.7
    assert {each.id for each in journal.read()} == set(WANTED)
    for each in journal.read():
        assert each.sample is not None and len(each.sample.steps) == 3


async def test_a_solution_that_did_not_end_is_remembered_and_is_no_sample(
    journal: JsonLines[DrawnSolution],
) -> None:
    endless = FakePolicy(script=lambda node, index: "and so on\n\n", longest=4)
    await draw(WANTED, endless, label, journal, seed=0, in_flight=3, ledger=Ledger())
    assert {each.id for each in journal.read()} == set(WANTED)
    assert {each.sample for each in journal.read()} == {None}


async def test_the_seed_alone_decides_what_is_drawn(tmp_path: Path) -> None:
    def drawn(name: str) -> JsonLines[DrawnSolution]:
        return JsonLines(tmp_path / name, Decoder(DrawnSolution).decode)

    with drawn("a") as one, drawn("b") as same, drawn("c") as other:
        await draw(WANTED, FakePolicy(), label, one, seed=1, in_flight=1, ledger=Ledger())
        await draw(WANTED, FakePolicy(), label, same, seed=1, in_flight=6, ledger=Ledger())
        await draw(WANTED, FakePolicy(), label, other, seed=2, in_flight=1, ledger=Ledger())
        by_id = [{each.id: each for each in journal.read()} for journal in (one, same, other)]
    assert by_id[0] == by_id[1] != by_id[2]


async def test_a_budget_ends_it_and_what_a_solution_took_is_kept_with_it(
    journal: JsonLines[DrawnSolution],
) -> None:
    ledger, policy = Ledger("run", Limits(requests=4)), FakePolicy()
    with pytest.raises(BudgetExhausted):
        await draw(WANTED, policy, label, journal, seed=0, in_flight=2, ledger=ledger)
    drawn = journal.read()
    assert len(policy.requests) == len(drawn) == 4
    assert sum(each.spent.policy_tokens for each in drawn) == policy.tokens
