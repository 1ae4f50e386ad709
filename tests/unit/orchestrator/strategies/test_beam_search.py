import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.expansion_rules import RulesName
from orchestrator.core.node import Node, root
from orchestrator.core.ports import Models
from orchestrator.errors import ConfigError
from orchestrator.strategies import BeamSearch
from orchestrator.testing.fakes import SEPARATOR, FakePolicy, FakePRM, chains
from tests.unit.orchestrator.conftest import BoxTask

ROOT = root("What is 1 + 1?", seed=1, problem_id="p")


def grown(policy: FakePolicy) -> list[tuple[tuple[int, ...], int]]:
    """Which nodes were grown, and how many ways."""
    return [(request.node.path, request.n) for request in policy.requests]


def by_last_word(question: str, steps: tuple[str, ...]) -> float:
    """Steps of these tests end with their score."""
    return float(steps[-1].split()[-1])


def step(text: str, score: float) -> str:
    return f"{text} {score}{SEPARATOR}"


@pytest.mark.parametrize(("n", "answers"), [(4, 1), (16, 4), (64, 16), (256, 64)])
async def test_n_over_width_answers_come_back(n: int, answers: int) -> None:
    leaves = await BeamSearch(n=n, width=4)(ROOT, Models(FakePolicy(), FakePRM()))
    assert len(leaves) == len({leaf.path for leaf in leaves}) == answers
    assert all(leaf.is_finished for leaf in leaves)


@pytest.mark.parametrize("n", [4, 16, 64])
async def test_the_root_grows_n_ways_and_every_kept_node_width_ways(n: int) -> None:
    policy = FakePolicy(script=chains(depth=4))
    await BeamSearch(n=n, width=4)(ROOT, Models(policy, FakePRM()))
    levels: dict[int, list[int]] = {}
    for path, width in grown(policy):
        levels.setdefault(len(path), []).append(width)
    assert levels == {0: [n], 1: [4] * (n // 4), 2: [4] * (n // 4), 3: [4] * (n // 4)}


async def test_one_request_grows_a_node_and_one_scores_its_children() -> None:
    policy, prm = FakePolicy(), FakePRM()
    await BeamSearch(n=16)(ROOT, Models(policy, prm))
    grown_paths = [path for path, _ in grown(policy)]
    assert len(set(grown_paths)) == len(grown_paths)
    families = [{node.path[:-1] for node in request} for request in prm.requests]
    assert all(len(parents) == 1 for parents in families)
    assert [family.pop() for family in families] == grown_paths


async def test_the_best_are_chosen_over_the_whole_level_not_in_each_family() -> None:
    def script(node: Node, index: int) -> str:
        if len(node.path) < 2:
            favoured = node.path in ((), (0,))
            return step(f"{node.path}{index}", 0.5 - index / 100 if favoured else 0.1)
        return f"end {index} 0.5"

    policy = FakePolicy(script=script)
    await BeamSearch(n=8, width=4)(ROOT, Models(policy, FakePRM(judge=by_last_word)))
    assert grown(policy) == [((), 8), ((0,), 4), ((1,), 4), ((0, 0), 4), ((0, 1), 4)]


async def test_a_finished_path_holds_its_slot_to_the_end() -> None:
    """Two of the first level's four best are finished: from then on two slots grow."""

    def script(node: Node, index: int) -> str:
        if not node.steps:
            return f"done {index} 0.9" if index < 2 else step(f"{index}", 0.8 - index / 100)
        return f"better {index} 0.99" if len(node.steps) == 2 else step(f"{index}", 0.95)

    policy = FakePolicy(script=script)
    leaves = await BeamSearch(n=16)(ROOT, Models(policy, FakePRM(judge=by_last_word)))
    widths = [(len(path), n) for path, n in grown(policy)]
    assert widths == [(0, 16), (1, 4), (1, 4), (2, 4), (2, 4)]
    assert [leaf.path for leaf in leaves[:2]] == [(0,), (1,)]
    assert len(leaves) == 4


async def test_a_finished_path_that_is_not_among_the_best_is_dropped() -> None:
    def script(node: Node, index: int) -> str:
        if not node.steps:
            return "poor 0.1" if index == 0 else step(f"{index}", 0.8)
        return f"end {index} 0.7"

    leaves = await BeamSearch(n=4)(
        ROOT, Models(FakePolicy(script=script), FakePRM(judge=by_last_word))
    )
    assert [leaf.path for leaf in leaves] == [(1, 0)]


async def test_duplicates_and_cut_steps_are_dropped_and_not_refilled() -> None:
    def script(node: Node, index: int) -> str:
        if node.steps:
            return f"end {index} 0.5"
        return {0: step("a", 0.5), 1: step("b", 0.5), 2: "cut " * 50}.get(index, step("a", 0.5))

    policy, prm = FakePolicy(script=script), FakePRM(judge=by_last_word)
    leaves = await BeamSearch(n=16, max_tokens=20)(ROOT, Models(policy, prm))
    assert [node.path for node in prm.requests[0]] == [(0,), (1,)]
    assert grown(policy) == [((), 16), ((0,), 4), ((1,), 4)]
    assert len(leaves) == 4


async def test_three_tries_without_a_usable_child_make_a_dead_end() -> None:
    def script(node: Node, index: int) -> str:
        return "cut " * 50 if node.steps else step("a", 0.5)

    policy, prm = FakePolicy(script=script), FakePRM(judge=by_last_word)
    (leaf,) = await BeamSearch(n=4, max_tokens=20)(ROOT, Models(policy, prm))
    assert (leaf.finish, leaf.path, leaf.text) == ("dead_end", (0,), step("a", 0.5))
    assert (len(policy.requests), len(prm.requests)) == (1 + 3, 1)
    assert len({request.node.seed for request in policy.requests}) == 1 + 3


async def test_a_second_try_may_succeed_with_its_own_randomness() -> None:
    first = ROOT.child(0, ()).seed

    def script(node: Node, index: int) -> str:
        if not node.steps:
            return step("a", 0.5)
        return "cut " * 50 if node.seed == first else f"end {index} 0.5"

    policy = FakePolicy(script=script)
    (leaf,) = await BeamSearch(n=4, max_tokens=20)(
        ROOT, Models(policy, FakePRM(judge=by_last_word))
    )
    assert (leaf.finish, len(policy.requests)) == ("stop", 1 + 2)


async def test_a_dead_end_keeps_its_text_and_value() -> None:
    def script(node: Node, index: int) -> str:
        if not node.steps:
            return step(f"{index}", 0.9 - index / 10)
        return "cut " * 50 if node.path == (0,) else f"end {index} 0.2"

    search = BeamSearch(n=8, max_tokens=20)
    leaves = await search(ROOT, Models(FakePolicy(script=script), FakePRM(judge=by_last_word)))
    assert [(leaf.path, leaf.finish) for leaf in leaves] == [((0,), "dead_end"), ((1, 0), "stop")]
    assert leaves[0].scores == (0.9,)


async def test_a_path_ends_at_depth_40() -> None:
    policy = FakePolicy(script=lambda node, index: step(f"{len(node.steps)}/{index}", 0.5))
    (leaf,) = await BeamSearch(n=4)(ROOT, Models(policy, FakePRM()))
    assert (leaf.finish, len(leaf.steps), len(policy.requests)) == ("depth", 40, 40)


async def test_a_box_ends_a_path_even_where_the_policy_would_go_on() -> None:
    policy = FakePolicy(script=lambda node, index: f"It is \\boxed{{{index}}}.{SEPARATOR}")
    models = Models(policy, FakePRM(), BoxTask().is_complete)
    (leaf,) = await BeamSearch(n=4)(ROOT, models)
    assert (leaf.finish, len(leaf.steps)) == ("stop", 1)


@pytest.mark.parametrize(
    ("strategy", "first"),
    [
        (BeamSearch(n=4, width=2), 1),
        (BeamSearch(n=4, width=2, reward="last"), 1),
        (BeamSearch(n=4, width=2, reward="min"), 0),
    ],
)
async def test_prm_last_is_the_value_of_a_node_unless_told_otherwise(
    strategy: BeamSearch, first: int
) -> None:
    def script(node: Node, index: int) -> str:
        if not node.steps:
            return step(f"{index}", 0.5 - index / 10)
        return f"{index} {0.55 if node.path == (0,) else 0.6}"

    leaves = await strategy(ROOT, Models(FakePolicy(script=script), FakePRM(judge=by_last_word)))
    assert leaves[0].path[0] == first


async def test_a_context_overflow_ends_the_path_as_it_stands() -> None:
    policy = FakePolicy(script=chains(depth=9), context=12)
    (leaf,) = await BeamSearch(n=4)(ROOT, Models(policy, FakePRM()))
    assert leaf.finish == "overflow"
    assert len(leaf.steps) == 2


async def test_a_child_too_long_for_the_prm_is_dropped_and_its_siblings_go_on() -> None:
    def script(node: Node, index: int) -> str:
        return "long " * 30 if index == 0 else f"short {index}"

    leaves = await BeamSearch(n=8)(ROOT, Models(FakePolicy(script=script), FakePRM(context=20)))
    assert sorted(leaf.path for leaf in leaves)[0] != (0,)
    assert {leaf.finish for leaf in leaves} == {"stop"}


async def test_where_no_child_fits_the_prm_the_node_overflows() -> None:
    (leaf,) = await BeamSearch(n=4)(ROOT, Models(FakePolicy(), FakePRM(context=5)))
    assert (leaf.path, leaf.finish) == ((), "overflow")


async def test_a_level_has_one_barrier_and_none_between_growing_and_scoring() -> None:
    """The slowest beam of level 1 grows only after its three rivals' children are scored, and
    no beam of level 2 grows before that slowest one is scored."""
    others_scored = asyncio.Event()
    scored: list[tuple[int, ...]] = []
    order: list[str] = []

    async def hold_last(node: Node) -> None:
        if len(node.path) == 1 and sum(len(path) == 1 for path, _ in grown(policy)) == 4:
            await others_scored.wait()
            order.append("slow one grown")
        if len(node.path) == 2:
            order.append("next level")

    async def count(node: Node) -> None:
        if len(node.path) == 2:
            scored.append(node.path[:-1])
            if len(scored) == 3:
                order.append("others scored")
                others_scored.set()

    policy, prm = FakePolicy(pause=hold_last), FakePRM(pause=count)
    async with asyncio.timeout(5):
        await BeamSearch(n=16)(ROOT, Models(policy, prm))
    assert order == ["others scored", "slow one grown", *["next level"] * 4]


@pytest.mark.parametrize(
    ("n", "width", "said"),
    [
        (6, 4, "n = 6 is not a multiple of width = 4; try n = 8"),
        (2, 4, "n = 2 is not a multiple of width = 4; try n = 4"),
        (17, 4, "try n = 16"),
        (0, 4, "try n = 4"),
        (4, 0, "width = 0 must be at least 1"),
    ],
)
def test_a_width_that_does_not_divide_n_is_refused_with_the_nearest_n(
    n: int, width: int, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        BeamSearch(n=n, width=width)


@given(
    st.integers(1, 5),
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(1, 5),
    st.sampled_from(["paper", "orchard"]),
)
def test_any_beam_search_ends_with_at_most_its_slots_of_finished_paths(
    slots: int, width: int, depth: int, answers: int, rules: RulesName
) -> None:
    policy = FakePolicy(script=chains(depth, answers))
    strategy = BeamSearch(n=slots * width, width=width, max_depth=3, rules=rules)
    leaves = asyncio.run(strategy(ROOT, Models(policy, FakePRM())))
    assert 1 <= len(leaves) <= slots
    assert all(leaf.is_finished and len(leaf.scores) == len(leaf.steps) <= 3 for leaf in leaves)
    assert len({leaf.path for leaf in leaves}) == len(leaves)
