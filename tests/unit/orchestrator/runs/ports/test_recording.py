from orchestrator.core.node import root
from orchestrator.core.ports import Sampling
from orchestrator.runs.ports.recording import Recorder
from orchestrator.testing.fakes import FakePolicy, FakePRM

ROOT = root("What is 1 + 1?", seed=1, problem_id="p")
STEP = Sampling(temperature=0.7)


async def test_the_leaves_of_a_cut_search_are_the_nodes_nothing_was_grown_from() -> None:
    recorder = Recorder(FakePolicy(), FakePRM())
    children = await recorder.score(await recorder.extend(ROOT, 3, STEP))
    await recorder.extend(children[1], 2, STEP)
    assert [leaf.path for leaf in recorder.leaves()] == [(0,), (1, 0), (1, 1), (2,)]


async def test_a_solution_that_was_asked_about_is_no_leaf_once_there_is_an_answer() -> None:
    recorder = Recorder(FakePolicy(), FakePRM())
    first = await recorder.score(await recorder.extend(ROOT, 2, STEP))
    asked = first[1].ask("Are you sure?")
    second = await recorder.score(await recorder.extend(asked, 1, STEP))
    assert [leaf.path for leaf in recorder.leaves()] == [(0,), second[0].path]
    assert recorder.tokens_of(second) == (
        first[1].step_tokens + second[0].step_tokens, first[1].prm_tokens + second[0].prm_tokens
    )  # fmt: skip


async def test_leaves_come_by_path_whatever_arrived_first_and_scored_where_scores_came() -> None:
    recorder = Recorder(FakePolicy(), FakePRM())
    children = await recorder.extend(ROOT, 2, STEP)
    await recorder.extend(children[1], 1, STEP)
    await recorder.extend(children[0], 1, STEP)
    await recorder.score(children)
    assert [leaf.path for leaf in recorder.leaves()] == [(0, 0), (1, 0)]


async def test_what_was_grown_from_is_not_kept() -> None:
    recorder = Recorder(FakePolicy(), FakePRM())
    children = await recorder.score(await recorder.extend(ROOT, 2, STEP))
    await recorder.extend(children[0], 1, STEP)
    await recorder.score(children)
    assert recorder.seen.keys() == {(0, 0), (1,)}
    assert recorder.seen[(1,)].scores


async def test_what_the_paths_of_leaves_took_is_kept_and_shared_nodes_count_once() -> None:
    recorder = Recorder(FakePolicy(), FakePRM())
    first = await recorder.score(await recorder.extend(ROOT, 3, STEP))
    grown = await recorder.score(await recorder.extend(first[1], 2, STEP))
    nodes = (first[1], *grown)
    assert recorder.tokens_of(grown) == (
        sum(node.step_tokens for node in nodes), sum(node.prm_tokens for node in nodes)
    )  # fmt: skip
    assert recorder.tokens_of([]) == (0, 0)
