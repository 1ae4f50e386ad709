import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from orchestrator.core.confidence import Confidence
from orchestrator.core.fanout import fan_out
from orchestrator.core.node import Node, root
from orchestrator.core.ports import Sampling
from orchestrator.core.problem import Problem
from orchestrator.endpoints.http.wire import Usage
from orchestrator.endpoints.prm.coalescing import shares
from orchestrator.errors import EndpointUnavailable
from orchestrator.runs.plan import Cell
from orchestrator.runs.ports.sharing import Demand, Once, SharedPolicy, SharedPRM
from orchestrator.strategies.settings import Stop
from orchestrator.testing.fakes import FakePolicy, FakePRM, words
from tests.unit.orchestrator.conftest import cell, problems

ROOT = root("What is 1 + 1?", seed=1, problem_id="p")
WHOLE = Sampling(temperature=0.7, max_tokens=8192, until="end")
GONE = EndpointUnavailable("gone", url="")
PROBLEMS = [Problem(id=id, question="What is 1 + 1?", answer="2") for id in "pq"]


def sharing(policy: FakePolicy, most: int) -> SharedPolicy:
    """A policy of which some strategy will ask for ``most`` solutions of each problem."""
    return SharedPolicy(policy, Demand([cell("majority", n=most)], PROBLEMS))


def capped(problems: int, strategy: str, **settings: Any) -> Cell:
    return replace(cell(strategy, **settings), problems=problems)


class Gate:
    """Holds requests back until it is opened, and tells when one has come."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()

    async def __call__(self, node: Node) -> None:
        self.reached.set()
        await self.opened.wait()


async def test_whole_solutions_are_drawn_once_and_every_n_reads_the_first_of_them() -> None:
    policy = FakePolicy()
    shared = sharing(policy, 16)
    four, sixteen = await shared.extend(ROOT, 4, WHOLE), await shared.extend(ROOT, 16, WHOLE)
    assert sixteen[:4] == four
    assert sixteen == await FakePolicy().extend(ROOT, 16, WHOLE)
    assert [request.n for request in policy.requests] == [16]


async def test_concurrent_askers_share_one_request() -> None:
    gate = Gate()
    policy = FakePolicy(pause=gate)
    shared = sharing(policy, 8)
    gate.opened.set()
    drawn = await fan_out(shared.extend(ROOT, n, WHOLE) for n in (1, 4, 8, 4))
    assert [len(samples) for samples in drawn] == [1, 4, 8, 4]
    assert len(policy.requests) == 1


async def test_other_problems_samplings_and_seeds_are_drawn_apart() -> None:
    policy = FakePolicy()
    shared = sharing(policy, 4)
    await shared.extend(ROOT, 4, WHOLE)
    await shared.extend(root("What is 1 + 1?", seed=2, problem_id="p"), 4, WHOLE)
    await shared.extend(root("What is 1 + 1?", seed=1, problem_id="q"), 4, WHOLE)
    await shared.extend(ROOT, 4, Sampling(temperature=1.0, max_tokens=8192, until="end"))
    assert len(policy.requests) == 4


@pytest.mark.parametrize(
    "sampling", [Sampling(temperature=0.7), Sampling(temperature=0.0, until="end")]
)
async def test_steps_and_greedy_solutions_are_not_shared(sampling: Sampling) -> None:
    policy = FakePolicy()
    shared = sharing(policy, 64)
    for _ in range(2):
        await shared.extend(ROOT, 1, sampling)
    assert [request.n for request in policy.requests] == [1, 1]


async def test_more_than_was_expected_is_drawn_when_asked_for() -> None:
    assert len(await sharing(FakePolicy(), 2).extend(ROOT, 5, WHOLE)) == 5


def test_the_demand_is_the_most_that_a_cell_asks_for_of_this_problem_in_this_way() -> None:
    many = problems(100)
    cells = [cell("majority", n=4), capped(1, "best_of_n", n=64), capped(10, "majority", n=8)]
    demand = Demand(cells, many)
    assert [demand.of(many[i].id, WHOLE) for i in (0, 1, 9, 10, 99)] == [64, 8, 8, 4, 4]


@pytest.mark.parametrize(
    "other",
    [
        {"temperature": 1.0}, {"top_p": 0.9}, {"max_tokens": 100}, {"logprobs": True},
        {"question_logprob": True},
    ],
)  # fmt: skip
def test_cells_that_sample_in_another_way_are_no_demand(other: dict[str, Any]) -> None:
    many = problems(2)
    one, another = cell("majority", n=4), cell("best_of_n", n=64, **other)
    demand = Demand([one, another], many)
    assert demand.of("p0", WHOLE) == 4
    assert demand.of("p0", another.strategy.sampling) == 64  # type: ignore[union-attr]


def test_cells_that_stop_early_demand_their_first_batch_and_tree_searches_nothing() -> None:
    stop = Stop(rule="beta", batch=6)
    cells = [cell("majority", n=64, stop=stop), cell("beam_search", n=16), cell("cot")]
    demand = Demand([*cells, cell("cot", temperature=0.7)], problems(1))
    assert demand.of("p0", WHOLE) == 6
    assert Demand(cells[1:], problems(1)).of("p0", WHOLE) == 0


async def test_what_one_of_two_problems_of_the_same_text_shares_outlives_the_other() -> None:
    policy, prm = FakePolicy(), FakePRM()
    samples, scores = sharing(policy, 4), SharedPRM(prm)
    roots = [root(each.question, seed=1, problem_id=each.id) for each in PROBLEMS]
    for start in roots:
        await scores.score(await samples.extend(start, 4, WHOLE))
    for shared in (samples, scores):
        shared.forget("p")
    await scores.score(await samples.extend(roots[1], 4, WHOLE))
    assert (len(policy.requests), len(prm.requests)) == (2, 2)
    await scores.score(await samples.extend(roots[0], 4, WHOLE))
    assert (len(policy.requests), len(prm.requests)) == (3, 3)


@dataclass
class SharingPRM(FakePRM):
    """Charges as ``/pooling`` does: equal texts of a request once, the others by their length."""

    async def score(self, nodes: Sequence[Node]) -> list[Node]:
        scored = await FakePRM.score(self, nodes)
        texts = {node.text: words(node.text) for node in scored}
        parts = shares(Usage(prompt_tokens=sum(texts.values())), [len(text) for text in texts])
        left = dict(zip(texts, parts, strict=True))
        return [node.scored(node.scores, *left.pop(node.text, (0, 0))) for node in scored]


def spelled(node: Node, index: int) -> str:
    """Few texts, of which no two have as many characters a word."""
    return ["so it is", "thereforeitis 5", "a b c d e f g", "2"][(3 * index + index // 3) % 4]


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("order", list(itertools.permutations([4, 6, 16])))
async def test_scoring_is_charged_the_same_whoever_asks_first(
    order: tuple[int, ...], together: bool
) -> None:
    solutions = await FakePolicy(script=spelled).extend(ROOT, 16, WHOLE)

    async def charged(order: Sequence[int], together: bool) -> dict[int, int]:
        prm = SharingPRM(pause=lambda node: asyncio.sleep(0))
        shared = SharedPRM(prm, lambda problem: [4, 6, 16])
        if together:
            scored = await fan_out(shared.score(solutions[:n]) for n in order)
        else:
            scored = [await shared.score(solutions[:n]) for n in order]
        return {n: prm_tokens(each) for n, each in zip(order, scored, strict=True)}

    assert await charged(order, together) == await charged((4, 6, 16), together=False)


def prm_tokens(nodes: Sequence[Node]) -> int:
    return sum(node.prm_tokens for node in nodes)


async def test_equal_texts_of_a_call_are_charged_once_though_others_asked_for_them() -> None:
    texts = ["same", "same", "other", "same"]
    solutions = [ROOT.child(i, (text,), finish="stop") for i, text in enumerate(texts)]
    prm = FakePRM()
    shared = SharedPRM(prm)
    first = await shared.score(solutions[:2])
    again = await shared.score(solutions[1:])
    assert [bool(node.prm_tokens) for node in first] == [True, False]
    assert [bool(node.prm_tokens) for node in again] == [True, True, False]
    assert [node.path for node in again] == [(1,), (2,), (3,)]
    assert [node.text for request in prm.requests for node in request] == ["same", "other"]


async def test_a_group_that_fails_costs_no_other_its_scores() -> None:
    solutions = await FakePolicy().extend(ROOT, 8, WHOLE)
    prm = FakePRM(failures={1: GONE}, pause=lambda node: asyncio.sleep(0))
    shared = SharedPRM(prm, lambda problem: [4, 8])
    with pytest.raises(EndpointUnavailable):
        await shared.score(solutions)
    assert len(await shared.score(solutions)) == 8
    assert [len(request) for request in prm.requests] == [4, 4, 4]


async def test_whole_solutions_are_scored_once() -> None:
    prm, solutions = FakePRM(), await FakePolicy().extend(ROOT, 8, WHOLE)
    shared = SharedPRM(prm)
    few = await shared.score(solutions[:4])
    assert await shared.score(solutions) == await FakePRM().score(solutions)
    assert few == (await FakePRM().score(solutions))[:4]
    assert [len(request) for request in prm.requests] == [4, 4]


async def test_solutions_of_two_policies_at_one_place_of_the_tree_are_scored_apart() -> None:
    shared = SharedPRM(FakePRM())
    for text in ("It is 2.", "It is 3."):
        solutions = await FakePolicy(script=lambda node, index, say=text: say).extend(  # type: ignore[misc]
            ROOT, 2, WHOLE
        )
        scored = await shared.score(solutions)
        assert [node.steps for node in scored] == [(text,), (text,)]


async def test_the_steps_of_a_tree_are_scored_each_time() -> None:
    prm, children = FakePRM(), await FakePolicy().extend(ROOT, 2, Sampling(temperature=0.7))
    shared = SharedPRM(prm)
    for _ in range(2):
        await shared.score(children)
    assert len(prm.requests) == 2


async def test_a_failure_is_told_to_all_who_wait_and_the_next_to_ask_tries_again() -> None:
    gate = Gate()
    policy = FakePolicy(pause=gate, failures={1: GONE})
    shared = sharing(policy, 4)
    askers = [asyncio.create_task(shared.extend(ROOT, 4, WHOLE)) for _ in range(3)]
    await gate.reached.wait()
    gate.opened.set()
    assert await asyncio.gather(*askers, return_exceptions=True) == [GONE] * 3
    assert len(await shared.extend(ROOT, 4, WHOLE)) == 4
    assert len(policy.requests) == 2


async def test_when_the_one_who_computes_is_cancelled_those_who_wait_compute_again() -> None:
    gate = Gate()
    policy = FakePolicy(pause=gate)
    shared = sharing(policy, 4)
    first, *waiting = [asyncio.create_task(shared.extend(ROOT, 4, WHOLE)) for _ in range(3)]
    await gate.reached.wait()
    first.cancel()
    gate.opened.set()
    async with asyncio.timeout(5):
        drawn = await asyncio.gather(*waiting)
    assert drawn[0] == drawn[1] == await FakePolicy().extend(ROOT, 4, WHOLE)
    assert first.cancelled()
    assert len(policy.requests) == 2


async def test_a_waiters_own_cancellation_ends_the_waiter_and_nobody_else() -> None:
    gate = Gate()
    policy = FakePolicy(pause=gate)
    shared = sharing(policy, 4)
    first, waiter, other = [asyncio.create_task(shared.extend(ROOT, 4, WHOLE)) for _ in range(3)]
    await gate.reached.wait()
    await asyncio.sleep(0)
    waiter.cancel()
    assert await asyncio.wait([waiter], timeout=5) == ({waiter}, set())
    assert waiter.cancelled()
    gate.opened.set()
    assert await first == await other
    assert len(policy.requests) == 1


@pytest.mark.parametrize("error", [None, GONE, asyncio.CancelledError()])
async def test_a_waiter_that_is_cancelled_as_the_value_comes_is_cancelled(
    error: BaseException | None,
) -> None:
    once, gate = Once[int, int](), asyncio.Event()

    async def compute(keys: Sequence[int]) -> list[int]:
        await gate.wait()
        if error is not None:
            raise error
        return list(keys)

    first, waiter = (asyncio.create_task(once.get([1], compute)) for _ in range(2))
    await asyncio.sleep(0)
    gate.set()
    asyncio.get_running_loop().call_soon(asyncio.get_running_loop().call_soon, waiter.cancel)
    await asyncio.wait([first, waiter])
    assert waiter.cancelled()


async def test_values_that_do_not_match_their_keys_leave_nobody_waiting() -> None:
    once: Once[int, int] = Once()

    async def too_few(keys: Sequence[int]) -> list[int]:
        await asyncio.sleep(0)
        return [1]

    async def enough(keys: Sequence[int]) -> list[int]:
        return [10 * key for key in keys]

    asked = [asyncio.create_task(once.get([1, 2], too_few)) for _ in range(2)]
    async with asyncio.timeout(5):
        failed = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(error, ValueError) for error in failed)
    assert await once.get([1, 2], enough) == [10, 20]


async def test_overlapping_askers_each_compute_what_is_missing() -> None:
    once: Once[int, int] = Once()
    computed: list[list[int]] = []

    async def square(keys: Sequence[int]) -> list[int]:
        computed.append(list(keys))
        await asyncio.sleep(0)
        return [key * key for key in keys]

    assert await fan_out(once.get(keys, square) for keys in ([1, 2], [2, 3], [3, 3, 1])) == [
        [1, 4], [4, 9], [9, 9, 1],
    ]  # fmt: skip
    assert computed == [[1, 2], [3]]


async def test_shared_scores_keep_what_each_asker_knows_of_its_solution() -> None:
    prm = FakePRM()
    shared = SharedPRM(prm)
    solution, sure = ROOT.child(0, ("so",), finish="stop"), Confidence.level(-0.5)
    await shared.score([solution])
    (scored,) = await shared.score([replace(solution, confidence=sure, answer=2)])
    assert (scored.confidence, scored.answer) == (sure, 2)
    assert scored.scores


async def test_shared_scores_say_who_gave_them_and_that_they_were_not_to_be_had() -> None:
    class Odd:
        async def score(self, nodes: Sequence[Node]) -> list[Node]:
            return [replace(each.scored([0.0], 1), unscored=True, prm_model="x") for each in nodes]

    (node,) = await SharedPRM(Odd()).score([ROOT.child(0, ("a",), finish="stop")])
    assert (node.unscored, node.prm_model, node.finish) == (True, "x", "stop")
