import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from orchestrator.core.budget import Bill, Ledger, Limits, Price, Spend
from orchestrator.core.node import Node, root
from orchestrator.core.ports import Sampling
from orchestrator.errors import BadResponse, BudgetExhausted, EndpointUnavailable
from orchestrator.runs.ports.branches import OnFailedBranch
from orchestrator.runs.ports.one_per_request import SeparateSamples
from orchestrator.runs.ports.wrappers import (
    BilledPolicy,
    BilledPRM,
    CountedPolicy,
    MeteredPolicy,
    MeteredPRM,
    Recorder,
    prm_spend,
)
from orchestrator.testing.fakes import FakePolicy, FakePRM

ROOT = root("What is 1 + 1?", seed=1, problem_id="p")
STEP = Sampling(temperature=0.7)


async def test_a_request_costs_its_samples_and_its_prompt_once() -> None:
    ledger = Ledger()
    children = await MeteredPolicy(FakePolicy(), ledger).extend(ROOT, 4, STEP)
    assert ledger.spent == Spend(
        requests=1, policy_tokens=sum(child.step_tokens for child in children), prompt_tokens=5
    )
    assert ledger.reserved == Spend()


async def test_samples_of_a_request_each_cost_their_prompts_each() -> None:
    separate, ledger = SeparateSamples(FakePolicy()), Ledger()
    children = await MeteredPolicy(separate, ledger, PRICE, one_a_request=True).extend(
        ROOT, 4, STEP
    )
    written = sum(child.step_tokens for child in children)
    cost = PRICE.cost(prompt_tokens=4 * 5, cached_tokens=0, written_tokens=written)
    assert ledger.spent == Spend(
        requests=4, policy_tokens=written, prompt_tokens=4 * 5, cost=pytest.approx(cost)
    )


async def test_some_of_the_samples_cost_their_own_prompts_alone() -> None:
    class FirstTwo:
        async def extend(self, node: Node, n: int, sampling: Sampling) -> list[Node]:
            return (await SeparateSamples(FakePolicy()).extend(node, 64, sampling))[:n]

    ledger = Ledger()
    await MeteredPolicy(FirstTwo(), ledger).extend(ROOT, 2, STEP)
    assert (ledger.spent.requests, ledger.spent.prompt_tokens) == (2, 2 * 5)


async def test_of_separate_samples_those_that_are_lost_cost_nothing() -> None:
    gone, ledger = EndpointUnavailable("gone", url=""), Ledger()
    policy = SeparateSamples(FakePolicy(failures={1: gone, 3: gone}))
    await MeteredPolicy(policy, ledger, one_a_request=True).extend(ROOT, 4, STEP)
    assert (ledger.spent.requests, ledger.spent.prompt_tokens) == (2, 2 * 5)
    assert ledger.reserved == Spend()


def spoiled(tokens: int) -> BadResponse:
    """A failure of requests that were answered, to no use."""
    failure = BadResponse("broken off", url="")
    failure.prompt_tokens, failure.written_tokens = 5, tokens
    return failure


async def test_what_a_failed_request_was_billed_for_is_charged_all_the_same() -> None:
    ledger, bill, counted = Ledger(), Bill(limit=1.0), Spend()
    policy = CountedPolicy(BilledPolicy(FakePolicy(failures={1: spoiled(7)}), PRICE, bill), counted)
    with pytest.raises(BadResponse):
        await MeteredPolicy(policy, ledger, PRICE).extend(ROOT, 4, STEP)
    cost = PRICE.cost(prompt_tokens=5, cached_tokens=0, written_tokens=7)
    assert ledger.spent == Spend(requests=1, policy_tokens=7, prompt_tokens=5, cost=cost)
    assert (bill.paid, bill.reserved, counted.policy_tokens) == (cost, 0.0, 7)


@pytest.mark.parametrize(("on_failure", "samples"), [("drop", 2), ("refill", 4)])
async def test_separate_samples_pay_for_those_that_failed_beside_them(
    on_failure: OnFailedBranch, samples: int
) -> None:
    ledger, asked = Ledger(), FakePolicy(failures={1: spoiled(7), 3: spoiled(9)})
    children = await MeteredPolicy(SeparateSamples(asked, on_failure), ledger).extend(ROOT, 4, STEP)
    assert len(children) == samples
    assert ledger.spent.prompt_tokens == 5 * len(asked.requests)
    assert ledger.spent.policy_tokens == asked.tokens + 7 + 9


async def test_separate_samples_that_all_fail_are_charged_for_all() -> None:
    ledger, asked = Ledger(), FakePolicy(failures={i: spoiled(i) for i in range(1, 5)})
    with pytest.raises(BadResponse):
        await MeteredPolicy(SeparateSamples(asked), ledger).extend(ROOT, 4, STEP)
    assert (ledger.spent.prompt_tokens, ledger.spent.policy_tokens) == (20, 10)


async def test_separate_requests_never_pass_a_limit_of_requests() -> None:
    policy, ledger = FakePolicy(), Ledger("run", Limits(requests=7))
    metered = MeteredPolicy(SeparateSamples(policy), ledger, one_a_request=True)
    await metered.extend(ROOT, 4, STEP)
    with pytest.raises(BudgetExhausted):
        await metered.extend(ROOT, 4, STEP)
    assert len(policy.requests) == 4


async def test_scoring_costs_what_the_prm_read() -> None:
    ledger, prm = Ledger(), FakePRM()
    children = await FakePolicy().extend(ROOT, 4, STEP)
    await MeteredPRM(prm, ledger).score(children)
    assert ledger.spent == Spend(requests=1, prm_tokens=prm.tokens)


async def test_what_the_prms_server_had_cached_is_charged_apart() -> None:
    class Caching:
        async def score(self, nodes: Sequence[Node]) -> list[Node]:
            return [node.scored([0.5], prm_tokens=30, prm_cached_tokens=16) for node in nodes]

    ledger = Ledger()
    await MeteredPRM(Caching(), ledger).score([ROOT, ROOT])
    assert ledger.spent == Spend(requests=1, prm_tokens=60, prm_cached_tokens=32)


async def test_an_exhausted_budget_refuses_before_anything_is_sent() -> None:
    policy, prm = FakePolicy(), FakePRM()
    ledger = Ledger("run", Limits(requests=0))
    with pytest.raises(BudgetExhausted):
        await MeteredPolicy(policy, ledger).extend(ROOT, 4, STEP)
    with pytest.raises(BudgetExhausted):
        await MeteredPRM(prm, ledger).score([ROOT])
    assert (policy.requests, prm.requests) == ([], [])


async def test_tokens_can_be_overdrawn_by_what_is_in_flight_and_no_more() -> None:
    ledger = Ledger("run", Limits(policy_tokens=5))
    policy = MeteredPolicy(FakePolicy(), ledger)
    await policy.extend(ROOT, 4, STEP)
    assert ledger.spent.policy_tokens > 5
    with pytest.raises(BudgetExhausted):
        await policy.extend(ROOT, 1, STEP)


async def test_a_request_that_fails_or_is_cancelled_gives_its_reservation_back() -> None:
    ledger = Ledger()
    gone = EndpointUnavailable("gone", url="")
    with pytest.raises(EndpointUnavailable):
        await MeteredPolicy(FakePolicy(failures={1: gone}), ledger).extend(ROOT, 4, STEP)

    async def forever(node: Node) -> None:
        assert ledger.reserved.requests == 1
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.002):
            await MeteredPRM(FakePRM(pause=forever), ledger).score([ROOT])
    assert ledger.reserved == ledger.spent == Spend()


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
    assert recorder.kept(second) == (
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
    assert recorder.kept(grown) == (
        sum(node.step_tokens for node in nodes), sum(node.prm_tokens for node in nodes)
    )  # fmt: skip
    assert recorder.kept([]) == (0, 0)


PRICE = Price(input=2.5, cached_input=1.25, output=10.0)


async def test_a_priced_policy_is_charged_in_dollars_and_an_unpriced_one_is_free() -> None:
    ledger = Ledger()
    children = await MeteredPolicy(FakePolicy(), ledger, PRICE).extend(ROOT, 4, STEP)
    written = sum(child.step_tokens for child in children)
    assert ledger.spent.cost == pytest.approx(
        PRICE.cost(prompt_tokens=5, cached_tokens=0, written_tokens=written)
    )
    await MeteredPolicy(FakePolicy(), free := Ledger()).extend(ROOT, 4, STEP)
    assert free.spent.cost == 0.0


def test_what_a_prm_wrote_costs_as_output_and_the_rest_as_input() -> None:
    scored = [ROOT.scored((0.5,), 100, 40, 30), ROOT.scored((0.5,), 50, 0, 10)]
    assert prm_spend(scored, PRICE).cost == pytest.approx(1e-6 * (70 * 2.5 + 40 * 1.25 + 40 * 10))


async def test_a_bill_holds_what_was_sent_and_stops_at_its_limit() -> None:
    bill = Bill(limit=1.0)
    policy = BilledPolicy(FakePolicy(), Price(input=0, output=20_000.0), bill)
    with pytest.raises(BudgetExhausted) as caught:
        for i in range(1000):
            await policy.extend(replace(ROOT, seed=i), 1, STEP)
    assert caught.value.limit == "cost"
    assert 0.5 < bill.paid <= 1.0 and bill.reserved == 0.0


async def test_what_the_first_request_costs_tells_those_that_waited_for_it() -> None:
    """100 are asked for at once, of which none would fit beside the first by the first guess."""
    in_flight, most, price = 0, 0, Price(input=10_000.0, output=0.0)

    async def pause(node: Node) -> None:
        nonlocal in_flight, most
        in_flight += 1
        most = max(most, in_flight)
        await asyncio.sleep(0)
        in_flight -= 1

    bill = Bill(limit=2.03)
    policy = BilledPolicy(FakePolicy(pause=pause), price, bill)
    asked = [policy.extend(replace(ROOT, seed=i), 1, STEP) for i in range(100)]
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(each, BudgetExhausted) for each in found) == 60
    assert bill.paid == pytest.approx(2.0)
    assert most > 10


async def test_a_request_that_fails_is_not_on_the_bill() -> None:
    class Failing:
        async def extend(self, node: Node, n: int, sampling: Sampling) -> list[Node]:
            raise EndpointUnavailable("gone", url="http://x")

        async def score(self, nodes: Sequence[Node]) -> list[Node]:
            raise EndpointUnavailable("gone", url="http://x")

    bill = Bill(limit=1.0)
    with pytest.raises(EndpointUnavailable):
        await BilledPolicy(Failing(), PRICE, bill).extend(ROOT, 1, STEP)
    with pytest.raises(EndpointUnavailable):
        await BilledPRM(Failing(), PRICE, bill).score([ROOT])
    assert (bill.paid, bill.reserved) == (0.0, 0.0)
