import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.budget import Ledger, Limits, Spend
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
                most = max(most, (run.spent + run.reserved).requests)
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
