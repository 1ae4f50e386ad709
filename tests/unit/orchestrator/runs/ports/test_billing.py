import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from orchestrator.core.budget import Bill, Price
from orchestrator.core.node import Node, root
from orchestrator.core.ports import Sampling
from orchestrator.errors import BudgetExhausted, EndpointUnavailable
from orchestrator.runs.ports.billing import BilledPolicy, BilledPRM
from orchestrator.testing.fakes import FakePolicy

ROOT = root("What is 1 + 1?", seed=1, problem_id="p")
STEP = Sampling(temperature=0.7)
PRICE = Price(input=2.5, cached_input=1.25, output=10.0)


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
