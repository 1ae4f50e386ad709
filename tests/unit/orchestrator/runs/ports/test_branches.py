import asyncio
from collections.abc import Sequence

import pytest

from orchestrator.core.node import FORKS, Node, root
from orchestrator.core.ports import Models, Sampling
from orchestrator.errors import (
    EndpointError,
    EndpointRefused,
    EndpointUnavailable,
    RateLimited,
)
from orchestrator.runs.ports.branches import Branches, OnFailedBranch
from orchestrator.runs.ports.one_per_request import SeparateSamples
from orchestrator.strategies import DVTS, BeamSearch
from orchestrator.testing.fakes import FakePolicy, FakePRM, chains

ROOT = root("What is 1 + 1?", seed=1, problem_id="p")
STEP = Sampling(temperature=0.7)
GONE = EndpointUnavailable("gone", url="")


def paths(nodes: Sequence[Node]) -> list[tuple[int, ...]]:
    return [node.path for node in nodes]


async def test_a_dropped_branch_is_missing_and_the_search_goes_on_with_the_others() -> None:
    search, policy = BeamSearch(n=8), FakePolicy(script=chains(depth=4), failures={3: GONE})
    branches = Branches(policy, FakePRM(), "drop")
    answers = await search(ROOT, Models(branches, branches))
    whole = await search(ROOT, Models(FakePolicy(script=chains(depth=4)), FakePRM()))
    assert len(whole) == 2 and answers
    assert all(answer.is_finished for answer in answers)
    assert (branches.failed, branches.last_failure) == (1, GONE)


async def test_what_cannot_be_scored_is_dropped_too() -> None:
    prm = FakePRM(failures={2: GONE})
    branches = Branches(FakePolicy(script=chains(depth=4)), prm, "drop")
    assert await BeamSearch(n=8)(ROOT, Models(branches, branches))
    assert branches.failed == 1


@pytest.mark.parametrize("on_failure", ["drop", "refill", "fail"])
@pytest.mark.parametrize("error", [EndpointRefused("no", url=""), RateLimited("later", url="")])
async def test_what_concerns_the_run_is_no_lost_branch(
    error: EndpointError, on_failure: OnFailedBranch
) -> None:
    for policy, prm in (
        (FakePolicy(script=chains(depth=4), failures={3: error}), FakePRM()),
        (FakePolicy(script=chains(depth=4)), FakePRM(failures={2: error})),
    ):
        branches = Branches(SeparateSamples(policy, on_failure), prm, on_failure)
        with pytest.raises(type(error)):
            await BeamSearch(n=8)(ROOT, Models(branches, branches))
        assert branches.failed == 0


async def test_where_the_root_is_lost_nothing_is_left() -> None:
    branches = Branches(FakePolicy(failures={1: GONE}), FakePRM(), "refill")
    assert await BeamSearch(n=8)(ROOT, Models(branches, branches)) == []
    assert branches.last_failure is GONE


async def test_refill_grows_the_best_sibling_that_was_passed_over() -> None:
    def judge(question: str, steps: tuple[str, ...]) -> float:
        return {"a": 0.9, "b": 0.3, "c": 0.8, "d": 0.5}.get(steps[-1][0], 0.6)

    def script(node: Node, index: int) -> str:
        return rf"\boxed{{{index}}}" if node.steps else f"{'abcd'[index]}\n\n"

    policy = FakePolicy(script=script, failures={2: GONE, 3: GONE})
    branches = Branches(policy, FakePRM(judge=judge), "refill")
    answers = await BeamSearch(n=4)(ROOT, Models(branches, branches))
    assert paths([request.node for request in policy.requests]) == [(), (0,), (2,), (3,)]
    assert [request.n for request in policy.requests] == [4, 4, 4, 4]
    assert paths(answers) == [(3, 0)]
    assert branches.failed == 2


async def test_refill_never_grows_what_the_search_grows_itself() -> None:
    policy = FakePolicy(script=chains(depth=4), failures={2: GONE})
    branches = Branches(policy, FakePRM(), "refill")
    answers = await BeamSearch(n=8)(ROOT, Models(branches, branches))
    grown = paths([request.node for request in policy.requests])
    assert len(grown) == len(set(grown))
    assert len(answers) == 2


async def test_refill_keeps_to_the_subtree() -> None:
    policy = FakePolicy(script=chains(depth=4), failures={4: GONE})
    branches = Branches(policy, FakePRM(), "refill")
    answers = await DVTS(n=8)(ROOT, Models(branches, branches))
    assert sorted(path[0] - FORKS for path in paths(answers)) == [0, 1]


async def test_under_fail_the_failure_ends_the_tree() -> None:
    branches = Branches(FakePolicy(failures={2: GONE}), FakePRM(), "fail")
    with pytest.raises(EndpointUnavailable):
        await BeamSearch(n=4)(ROOT, Models(branches, branches))


@pytest.mark.parametrize("policy", ["drop", "refill", "fail"])
async def test_a_refusal_always_passes(policy: str) -> None:
    refused = EndpointRefused("wrong key", url="")
    branches = Branches(FakePolicy(failures={2: refused}), FakePRM(), policy)  # type: ignore[arg-type]
    with pytest.raises(EndpointRefused):
        await BeamSearch(n=4)(ROOT, Models(branches, branches))


async def test_where_nothing_fails_nothing_changes() -> None:
    for search in (BeamSearch(n=8), DVTS(n=8)):
        branches = Branches(FakePolicy(), FakePRM(), "refill")
        alone = Models(FakePolicy(), FakePRM())
        assert await search(ROOT, Models(branches, branches)) == await search(ROOT, alone)
        assert branches.failed == 0


async def test_of_separate_samples_those_that_fail_are_missing_and_counted() -> None:
    branches = Branches(SeparateSamples(FakePolicy(failures={2: GONE})), FakePRM(), "drop")
    children = await branches.extend(ROOT, 4, STEP)
    whole = await SeparateSamples(FakePolicy()).extend(ROOT, 4, STEP)
    assert paths(children) == [(0,), (2,), (3,)]
    assert [child.steps for child in children] == [whole[i].steps for i in (0, 2, 3)]
    assert branches.failed == 1


async def test_under_refill_a_separate_sample_that_fails_is_drawn_again_from_another_seed() -> None:
    asked = FakePolicy(failures={2: GONE})
    branches = Branches(SeparateSamples(asked, "refill"), FakePRM(), "refill")
    children = await branches.extend(ROOT, 4, STEP)
    whole = await SeparateSamples(FakePolicy()).extend(ROOT, 4, STEP)
    assert paths(children) == paths(whole) == [(0,), (1,), (2,), (3,)]
    assert [child == before for child, before in zip(children, whole, strict=True)] == [
        True, False, True, True,
    ]  # fmt: skip
    assert len({request.node.seed for request in asked.requests}) == 5
    assert branches.failed == 0


async def test_a_separate_sample_is_drawn_again_once() -> None:
    asked = FakePolicy(failures={2: GONE, 3: GONE})
    branches = Branches(SeparateSamples(asked, "refill"), FakePRM(), "refill")
    assert paths(await branches.extend(ROOT, 4, STEP)) == [(0,), (2,), (3,)]
    assert (len(asked.requests), branches.failed) == (5, 1)


async def test_under_fail_a_separate_sample_ends_the_tree() -> None:
    branches = Branches(SeparateSamples(FakePolicy(failures={2: GONE}), "fail"), FakePRM(), "fail")
    with pytest.raises(EndpointUnavailable):
        await branches.extend(ROOT, 4, STEP)


async def test_separate_samples_that_all_fail_are_a_failure() -> None:
    policy = SeparateSamples(FakePolicy(failures=dict.fromkeys(range(1, 5), GONE)))
    with pytest.raises(EndpointUnavailable):
        await policy.extend(ROOT, 4, STEP)


async def test_a_refused_sample_cancels_the_others() -> None:
    async def wait(node: Node) -> None:
        if node.seed != first:
            await asyncio.Event().wait()

    seen = FakePolicy()
    await SeparateSamples(seen).extend(ROOT, 2, STEP)
    first = seen.requests[0].node.seed
    policy = FakePolicy(failures={1: EndpointRefused("wrong key", url="")}, pause=wait)
    async with asyncio.timeout(5):
        with pytest.raises(EndpointRefused):
            await SeparateSamples(policy).extend(ROOT, 3, STEP)
