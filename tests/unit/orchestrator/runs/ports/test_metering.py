import asyncio
from collections.abc import Sequence

import pytest

from orchestrator.core.budget import Bill, Ledger, Limits, Price, Spend
from orchestrator.core.node import Node, root
from orchestrator.core.ports import Sampling
from orchestrator.errors import BadResponse, BudgetExhausted, EndpointUnavailable
from orchestrator.runs.ports.billing import BilledPolicy
from orchestrator.runs.ports.branches import OnFailedBranch
from orchestrator.runs.ports.counting import CountedPolicy
from orchestrator.runs.ports.metering import MeteredPolicy, MeteredPRM
from orchestrator.runs.ports.one_per_request import SeparateSamples
from orchestrator.testing.fakes import FakePolicy, FakePRM

ROOT = root("What is 1 + 1?", seed=1, problem_id="p")
STEP = Sampling(temperature=0.7)
PRICE = Price(input=2.5, cached_input=1.25, output=10.0)


async def test_a_request_costs_its_samples_and_its_prompt_once() -> None:
    ledger = Ledger()
    children = await MeteredPolicy(FakePolicy(), ledger).extend(ROOT, 4, STEP)
    assert ledger.spent == Spend(
        requests=1, policy_tokens=sum(child.step_tokens for child in children), prompt_tokens=5
    )
    assert ledger.reserved == Spend()


async def test_samples_of_a_request_each_cost_their_prompts_each() -> None:
    separate, ledger = SeparateSamples(FakePolicy()), Ledger()
    children = await MeteredPolicy(separate, ledger, PRICE, one_per_request=True).extend(
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
    await MeteredPolicy(policy, ledger, one_per_request=True).extend(ROOT, 4, STEP)
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
    metered = MeteredPolicy(SeparateSamples(policy), ledger, one_per_request=True)
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


async def test_a_priced_policy_is_charged_in_dollars_and_an_unpriced_one_is_free() -> None:
    ledger = Ledger()
    children = await MeteredPolicy(FakePolicy(), ledger, PRICE).extend(ROOT, 4, STEP)
    written = sum(child.step_tokens for child in children)
    assert ledger.spent.cost == pytest.approx(
        PRICE.cost(prompt_tokens=5, cached_tokens=0, written_tokens=written)
    )
    await MeteredPolicy(FakePolicy(), free := Ledger()).extend(ROOT, 4, STEP)
    assert free.spent.cost == 0.0
