"""Strategies that stop when the rest would not change the answer."""

import pytest

from orchestrator.core.tree import Node, root
from orchestrator.endpoints.fake import SEPARATOR, FakePolicy, FakePRM
from orchestrator.errors import ConfigError
from orchestrator.runs.answers import AnsweringPolicy
from orchestrator.strategies import BeamSearch, BestOfN, Majority
from orchestrator.strategies.settings import Stop
from tests.unit.orchestrator.runs.conftest import BoxGrader

ROOT = root("What is 1 + 1?", seed=1, problem_id="p")


def answering(*answers: int) -> FakePolicy:
    """Solutions whose answers are these, in order of asking."""
    given = iter(answers)
    return FakePolicy(script=lambda node, index: rf"It is $\boxed{{{next(given)}}}$.")


async def samples(strategy: Majority | BestOfN, *answers: int, score: float = 1.0) -> int:
    policy = answering(*answers)
    leaves = await strategy(
        ROOT, AnsweringPolicy(policy, BoxGrader()), FakePRM(judge=lambda question, steps: score)
    )
    assert len({leaf.path for leaf in leaves}) == len(leaves)
    assert len({leaf.seed for leaf in leaves}) == len(leaves)
    return len(leaves)


async def test_a_majority_that_nothing_can_change_draws_no_more() -> None:
    certain = Majority(n=16, stop=Stop(rule="certain"))
    assert await samples(certain, *[2] * 16) == 12
    assert await samples(certain, *[2, 3] * 8) == 16


async def test_a_likely_enough_majority_draws_no_more() -> None:
    beta = Majority(n=64, stop=Stop(rule="beta", confidence=0.95))
    assert await samples(beta, *[2] * 64) == 4
    assert await samples(beta, 2, 2, 2, 3, *[2] * 60) == 8
    assert await samples(beta, *[2, 3] * 32) == 64


async def test_what_the_prm_does_not_believe_settles_nothing() -> None:
    beta = BestOfN(n=32, stop=Stop(rule="beta", confidence=0.95))
    assert await samples(beta, *[2] * 32, score=1.0) == 4
    assert await samples(beta, *[2] * 32, score=0.25) == 16
    assert await samples(beta, *[2] * 32, score=0.0) == 32


async def test_batches_end_at_n() -> None:
    odd = Majority(n=6, stop=Stop(rule="beta", confidence=0.99))
    assert await samples(odd, *[2, 3, 4, 5, 6, 7]) == 6


async def test_without_a_rule_all_are_drawn_at_once_and_no_answer_is_read() -> None:
    policy = FakePolicy()
    assert not Majority(n=8).reads_answers
    leaves = await Majority(n=8)(ROOT, policy, FakePRM())
    assert [request.n for request in policy.requests] == [8]
    assert all(leaf.answer is None for leaf in leaves)


async def test_a_beam_search_ends_when_the_best_finished_path_dominates() -> None:
    def script(node: Node, index: int) -> str:
        return f"good {index}" if index == 0 else f"worse {index}{SEPARATOR}"

    def judge(question: str, steps: tuple[str, ...]) -> float:
        return 0.9 if steps[-1].startswith("good") else 0.5

    policy = FakePolicy(script=script)
    search = BeamSearch(n=8, width=4, max_depth=5, stop="dominated")
    (leaf,) = await search(ROOT, policy, FakePRM(judge=judge))
    assert (leaf.text, len(policy.requests)) == ("good 0", 1)


async def test_a_beam_search_goes_on_while_an_open_path_is_worth_more() -> None:
    def script(node: Node, index: int) -> str:
        return f"done {index}" if index == 0 or node.steps else f"promising {index}{SEPARATOR}"

    def judge(question: str, steps: tuple[str, ...]) -> float:
        return 0.6 if steps == ("done 0",) else 0.9

    search = BeamSearch(n=8, width=4, max_depth=5, stop="dominated")
    leaves = await search(ROOT, FakePolicy(script=script), FakePRM(judge=judge))
    assert {len(leaf.steps) for leaf in leaves} == {2}


@pytest.mark.parametrize("confidence", [0.5, 1.0, 0.0])
def test_a_confidence_that_is_none_is_refused(confidence: float) -> None:
    with pytest.raises(ConfigError, match=r"between 0\.5 and 1"):
        Stop(rule="beta", confidence=confidence)
