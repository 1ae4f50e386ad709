import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.budget import Bill, Ledger, Limits, Price, Spend
from orchestrator.core.fanout import fan_out
from orchestrator.errors import BudgetExhausted

ONE = Spend(requests=1)


def test_what_a_scope_spends_counts_in_all_its_ancestors() -> None:
    run = Ledger()
    tree = run.scope("problem")
    branch = tree.scope("branch")
    branch.reserve(Spend(policy_tokens=4, requests=1))
    assert run.reserved == tree.reserved == Spend(policy_tokens=4, requests=1)
    actual = Spend(
        policy_tokens=90, prompt_tokens=30, cached_tokens=20, prm_tokens=50, prm_cached_tokens=40,
        requests=1,
    )  # fmt: skip
    branch.settle(Spend(policy_tokens=4, requests=1), actual)
    assert run.spent == tree.spent == branch.spent == actual
    assert run.reserved == tree.reserved == branch.reserved == Spend()


def test_siblings_do_not_count_in_each_other() -> None:
    run = Ledger()
    first, second = run.scope("problem"), run.scope("problem")
    first.settle(Spend(), ONE)
    assert (first.spent, second.spent, run.spent) == (ONE, Spend(), ONE)


@pytest.mark.parametrize("limit", ["policy_tokens", "prm_tokens", "requests"])
def test_every_limit_may_be_spent_to_the_last_and_no_further(limit: str) -> None:
    ledger = Ledger("run", Limits(**{limit: 3}))
    ledger.reserve(Spend(**{limit: 3}))
    with pytest.raises(BudgetExhausted) as caught:
        ledger.reserve(Spend(**{limit: 1}))
    assert (caught.value.limit, caught.value.allowed, caught.value.scope) == (limit, 3, "run")


def test_an_exhausted_ancestor_refuses_and_nothing_is_set_aside_anywhere() -> None:
    run = Ledger("run", Limits(requests=1))
    tree = run.scope("problem", Limits(requests=100))
    tree.reserve(ONE)
    with pytest.raises(BudgetExhausted, match="the run budget of 1 requests is used up"):
        tree.reserve(ONE)
    assert run.reserved == tree.reserved == ONE


def test_an_exhausted_scope_leaves_its_siblings_and_parent_able_to_spend() -> None:
    run = Ledger("run", Limits(requests=2))
    small, other = run.scope("problem", Limits(requests=0)), run.scope("problem")
    with pytest.raises(BudgetExhausted):
        small.reserve(ONE)
    other.reserve(ONE)
    other.reserve(ONE)
    assert run.reserved == Spend(requests=2)


def test_a_reservation_given_back_can_be_spent_by_another() -> None:
    ledger = Ledger("run", Limits(requests=1))
    ledger.reserve(ONE)
    ledger.settle(ONE, Spend())
    ledger.reserve(ONE)


async def test_concurrent_scopes_cannot_overdraw_their_parent() -> None:
    run, most = Ledger("run", Limits(requests=50)), 0

    async def tree() -> int:
        nonlocal most
        scope, done = run.scope("problem"), 0
        try:
            for _ in range(10):
                scope.reserve(ONE)
                most = max(most, run.spent.requests + run.reserved.requests)
                await asyncio.sleep(0)
                scope.settle(ONE, ONE)
                done += 1
        except BudgetExhausted:
            pass
        return done

    assert sum(await fan_out(tree() for _ in range(20))) == 50
    assert (run.spent, run.reserved, most) == (Spend(requests=50), Spend(), 50)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), max_size=40))
def test_no_order_of_reservations_passes_a_limit(orders: list[tuple[int, int]]) -> None:
    run = Ledger("run", Limits(policy_tokens=30))
    scopes = [run.scope("problem", Limits(policy_tokens=15)) for _ in range(3)]
    for index, amount in orders:
        try:
            scopes[index].reserve(Spend(policy_tokens=amount))
        except BudgetExhausted:
            continue
    assert run.reserved.policy_tokens <= 30
    assert all(scope.reserved.policy_tokens <= 15 for scope in scopes)
    assert run.reserved.policy_tokens == sum(scope.reserved.policy_tokens for scope in scopes)


GPT_4O = Price(input=2.5, cached_input=1.25, output=10.0)


def test_a_price_is_per_million_tokens_and_cached_ones_have_their_own() -> None:
    assert GPT_4O.cost(prompt_tokens=1_000_000, cached_tokens=0, written_tokens=0) == pytest.approx(
        2.5
    )
    assert GPT_4O.cost(prompt_tokens=1000, cached_tokens=600, written_tokens=200) == pytest.approx(
        1e-6 * (400 * 2.5 + 600 * 1.25 + 200 * 10)
    )


def test_without_a_price_of_their_own_cached_tokens_cost_as_much_as_others() -> None:
    price = Price(input=2.0, output=8.0)
    assert price.cost(prompt_tokens=100, cached_tokens=100, written_tokens=0) == pytest.approx(2e-4)


def test_a_scope_may_not_go_on_once_its_cost_is_passed() -> None:
    run = Ledger("run")
    tree = run.scope("problem", Limits(cost=0.5))
    tree.reserve(ONE)
    tree.settle(ONE, Spend(requests=1, cost=0.6))
    with pytest.raises(BudgetExhausted, match=r"the problem budget of \$0.5 is used up"):
        tree.reserve(ONE)
    assert run.spent.cost == 0.6


async def test_a_request_that_fits_but_for_those_in_flight_waits_for_them() -> None:
    bill, order = Bill(limit=1.0), []

    async def request(name: str, expected: float, actual: float, answered: asyncio.Event) -> None:
        await bill.reserve(expected)
        order.append(name)
        await answered.wait()
        bill.settle(expected, actual)

    first, second = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(request("first", 0.8, 0.3, first))
        tasks.create_task(request("second", 0.5, 0.5, second))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert order == ["first"]
        first.set()
        second.set()
    assert order == ["first", "second"]
    assert (bill.paid, bill.reserved) == (pytest.approx(0.8), 0.0)


async def test_a_bill_at_its_limit_refuses_what_nothing_in_flight_can_make_fit() -> None:
    bill = Bill(limit=1.0, paid=0.9)
    with pytest.raises(BudgetExhausted, match=r"the run budget of \$1 is used up") as caught:
        await bill.reserve(0.2)
    assert (caught.value.limit, caught.value.scope) == ("cost", "run")
    await bill.reserve(0.1)


async def test_a_thousand_trees_overdraw_their_bill_by_little() -> None:
    bill, expected = Bill(limit=10.0), 0.01

    async def tree(number: int) -> None:
        for step in range(5):
            try:
                await bill.reserve(expected)
            except BudgetExhausted:
                return
            await asyncio.sleep(0)
            bill.settle(expected, 0.005 + 0.01 * ((number * 7 + step * 3) % 11) / 10)

    await fan_out(tree(number) for number in range(1000))
    assert 9.9 <= bill.paid <= 10.1


async def test_whoever_is_cancelled_as_the_bill_has_room_again_is_cancelled() -> None:
    bill = Bill(limit=1.0)
    await bill.reserve(0.8)
    waiting = asyncio.create_task(bill.reserve(0.5))
    await asyncio.sleep(0)
    bill.settle(0.8, 0.1)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    assert bill.reserved == 0.0


def test_policy_and_prm_tokens_count_together_in_the_limit_of_tokens() -> None:
    ledger = Ledger("run", Limits(tokens=5))
    ledger.reserve(Spend(policy_tokens=2, prm_tokens=3))
    with pytest.raises(BudgetExhausted) as caught:
        ledger.reserve(Spend(prm_tokens=1))
    assert (caught.value.limit, caught.value.allowed) == ("tokens", 5)


def test_amounts_add_and_subtract_in_every_kind() -> None:
    kinds = ["policy_tokens", "prompt_tokens", "cached_tokens", "prm_tokens", "prm_cached_tokens",
             "requests", "cost"]  # fmt: skip
    total = Spend(**{kind: 10 + i for i, kind in enumerate(kinds)})
    total.add(Spend(**{kind: 1 + 2 * i for i, kind in enumerate(kinds)}))
    assert total == Spend(**{kind: 11 + 3 * i for i, kind in enumerate(kinds)})
    total.subtract(Spend(**{kind: 1 + 2 * i for i, kind in enumerate(kinds)}))
    assert total == Spend(**{kind: 10 + i for i, kind in enumerate(kinds)})


async def test_a_guess_may_be_sent_alone_while_the_limit_is_not_used_up() -> None:
    bill = Bill(limit=1.0, paid=0.9)
    assert await bill.reserve(5.0, guessed=True)
    assert bill.reserved == 5.0
    bill.settle(5.0, 0.1)
    with pytest.raises(BudgetExhausted):
        await bill.reserve(5.0, guessed=True)
    with pytest.raises(BudgetExhausted):
        await bill.reserve(5.0)


async def test_a_guess_that_had_to_wait_sets_nothing_aside() -> None:
    bill = Bill(limit=1.0)
    assert await bill.reserve(0.6)
    waiting = asyncio.create_task(bill.reserve(0.6, guessed=True))
    await asyncio.sleep(0)
    assert not waiting.done()
    bill.settle(0.6, 0.2)
    assert await waiting is False
    assert (bill.paid, bill.reserved) == (0.2, 0.0)


async def test_what_is_in_flight_stays_set_aside_until_each_is_settled() -> None:
    bill = Bill()
    for expected in (0.5, 0.25, 0.125):
        assert await bill.reserve(expected)
    bill.settle(0.25, 1.0)
    assert (bill.paid, bill.reserved) == (1.0, 0.625)
    bill.settle(0.5, 1.0)
    bill.settle(0.125, 1.0)
    assert (bill.paid, bill.reserved) == (3.0, 0.0)
