from typing import Any

import pytest

from orchestrator.core.node import Finish, Node, root
from orchestrator.core.ports import Models, Sampling
from orchestrator.strategies import DVTS, STRATEGIES, BeamSearch, BestOfN, CoT, MajorityVoting
from orchestrator.testing.fakes import FakePolicy, FakePRM

ROOT = root("What is 1 + 1?", seed=1, problem_id="p")


@pytest.mark.parametrize(
    ("strategy", "sampling"),
    [
        (CoT(), Sampling(temperature=0.0, top_p=1.0, max_tokens=8192, until="end")),
        (MajorityVoting(), Sampling(temperature=0.7, top_p=1.0, max_tokens=8192, until="end")),
        (BestOfN(), Sampling(temperature=0.7, top_p=1.0, max_tokens=8192, until="end")),
        (BeamSearch(), Sampling(temperature=0.7, top_p=1.0, max_tokens=2048, until="step")),
        (DVTS(), Sampling(temperature=0.7, top_p=1.0, max_tokens=2048, until="step")),
    ],
)
async def test_every_strategy_samples_as_the_paper_does(strategy: Any, sampling: Sampling) -> None:
    policy = FakePolicy()
    await strategy(ROOT, Models(policy, FakePRM()))
    assert {request.sampling for request in policy.requests} == {sampling}


async def test_cot_takes_one_solution_and_scores_nothing() -> None:
    policy, prm = FakePolicy(), FakePRM()
    leaves = await CoT()(ROOT, Models(policy, prm))
    assert [leaf.path for leaf in leaves] == [(0,)]
    assert (len(policy.requests), len(prm.requests)) == (1, 0)
    assert CoT().n == 1


async def test_majority_draws_n_solutions_in_one_request_and_scores_nothing() -> None:
    policy, prm = FakePolicy(), FakePRM()
    leaves = await MajorityVoting(n=7)(ROOT, Models(policy, prm))
    assert [leaf.path for leaf in leaves] == [(i,) for i in range(7)]
    assert ([request.n for request in policy.requests], prm.requests) == ([7], [])


async def test_best_of_n_scores_every_step_of_every_solution_in_one_request() -> None:
    policy, prm = FakePolicy(), FakePRM()
    leaves = await BestOfN(n=5)(ROOT, Models(policy, prm))
    assert ([request.n for request in policy.requests], len(prm.requests)) == ([5], 1)
    assert all(len(leaf.scores) == len(leaf.steps) == 3 for leaf in leaves)


@pytest.mark.parametrize("finish", ["overflow", "filtered", "refused"])
@pytest.mark.parametrize("strategy", [MajorityVoting(n=16), BestOfN(n=16)])
async def test_a_prompt_that_is_turned_down_is_asked_once_however_many_are_wanted(
    strategy: Any, finish: Finish
) -> None:
    class TurnsDown:
        asked = 0

        async def extend(self, node: Node, n: int, sampling: Sampling) -> list[Node]:
            self.asked += 1
            return [node.child(0, (), finish=finish)]

    policy = TurnsDown()
    leaves = await strategy(ROOT, Models(policy, FakePRM()))
    assert ([leaf.finish for leaf in leaves], policy.asked) == ([finish], 1)


async def test_a_box_in_the_middle_does_not_end_a_whole_solution() -> None:
    def goes_on(node: Node, index: int) -> str:
        return "So \\boxed{2}?\n\n" if not node.steps else "Indeed."

    (leaf,) = await CoT()(ROOT, Models(FakePolicy(script=goes_on), FakePRM()))
    assert leaf.steps == ("So \\boxed{2}?\n\n", "Indeed.")


def test_the_names_of_the_strategies_are_the_papers_and_auto() -> None:
    assert list(STRATEGIES) == ["cot", "majority", "best_of_n", "beam_search", "dvts", "auto"]
    scored = [name for name, strategy in STRATEGIES.items() if "prm" in strategy().needs]
    assert scored == ["best_of_n", "beam_search", "dvts", "auto"]
