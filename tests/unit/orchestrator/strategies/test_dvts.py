import asyncio

import pytest

from orchestrator.core.node import FORKS, Node, root
from orchestrator.core.ports import Models
from orchestrator.strategies import DVTS, BeamSearch
from orchestrator.testing.fakes import FakePolicy, FakePRM, chains

ROOT = root("What is 1 + 1?", seed=1, problem_id="p")


@pytest.mark.parametrize("n", [4, 16, 64, 256])
async def test_n_over_width_independent_trees_give_one_answer_each(n: int) -> None:
    policy = FakePolicy()
    leaves = await DVTS(n=n, width=4)(ROOT, Models(policy, FakePRM()))
    assert [leaf.path[0] - FORKS for leaf in leaves] == list(range(n // 4))
    assert all(request.n == 4 for request in policy.requests)


async def test_every_tree_is_a_beam_search_of_one_beam_from_a_fork_of_the_root() -> None:
    leaves = await DVTS(n=8)(ROOT, Models(FakePolicy(), FakePRM()))
    alone = [await BeamSearch(n=4)(ROOT.fork(i), Models(FakePolicy(), FakePRM())) for i in range(2)]
    assert leaves == [leaf for answers in alone for leaf in answers]


async def test_trees_draw_on_seeds_of_their_own() -> None:
    policy = FakePolicy()
    await DVTS(n=64)(ROOT, Models(policy, FakePRM()))
    first_steps = {request.node.seed for request in policy.requests if len(request.node.path) == 1}
    assert len(first_steps) == 16


async def test_no_tree_waits_for_another() -> None:
    """Tree 2 is answered only when all others are through: were they to wait, none would be."""
    others_done = asyncio.Event()
    done: set[int] = set()

    async def hold_tree_2(node: Node) -> None:
        if node.path[0] == FORKS + 2:
            await others_done.wait()

    async def note_the_end(node: Node) -> None:
        if node.is_finished:
            done.add(node.path[0] - FORKS)
            if done == {0, 1, 3}:
                others_done.set()

    policy = FakePolicy(script=chains(depth=4), pause=hold_tree_2)
    async with asyncio.timeout(5):
        leaves = await DVTS(n=16)(ROOT, Models(policy, FakePRM(pause=note_the_end)))
    assert done == {0, 1, 2, 3}
    assert [leaf.path[0] - FORKS for leaf in leaves] == [0, 1, 2, 3]


async def test_it_keeps_the_settings_of_its_trees() -> None:
    policy = FakePolicy(script=chains(depth=9))
    strategy = DVTS(n=4, width=2, max_depth=2, temperature=0.6, top_p=0.95, max_tokens=64)
    leaves = await strategy(ROOT, Models(policy, FakePRM()))
    assert [leaf.finish for leaf in leaves] == ["depth", "depth"]
    assert {request.sampling for request in policy.requests} == {strategy.sampling}
    assert (strategy.sampling.temperature, strategy.sampling.top_p) == (0.6, 0.95)
