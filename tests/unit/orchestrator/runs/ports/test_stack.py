"""What the order of the wrappers means to a tree, to the journal and to the bill."""

from pathlib import Path

import pytest

from orchestrator.core.budget import Bill, Ledger, Limits, Price, Spend
from orchestrator.core.node import Tree, root
from orchestrator.core.ports import Models, Sampling
from orchestrator.core.problem import Problem
from orchestrator.errors import BudgetExhausted
from orchestrator.runs.ports.replay import Remembering
from orchestrator.runs.ports.sharing import Demand
from orchestrator.runs.ports.stack import RunWide, Terms, stack, stack_prm, tree_ports
from orchestrator.storage.journal import JOURNAL, Journal, journal_info
from orchestrator.testing.fakes import FakePolicy, FakePRM

PROBLEM = Problem(id="p", question="What is 1 + 1?", answer="2")
ROOT = root(PROBLEM.question, seed=1, problem_id="p", tree=Tree(key="tree"))
WHOLE = Sampling(temperature=0.7, until="end")
NOBODY = Demand([], [PROBLEM])
DOLLAR = Price(input=0.0, output=1e6)  # a dollar a written token


async def test_a_second_tree_is_charged_for_what_it_shares_and_the_bill_is_not() -> None:
    policy, bill, ledger, sent = FakePolicy(), Bill(), Ledger(), Spend()
    run = RunWide(prices={"small": DOLLAR}, bill=bill, sent=sent)
    shared = stack(policy, name="small", demand=NOBODY, run=run)
    for _ in range(2):
        ports = tree_ports(Models(shared, FakePRM()), ledger, Terms(policy_price=DOLLAR))
        await ports.models.policy.extend(ROOT, 4, WHOLE)
    assert len(policy.requests) == sent.requests == 1
    assert ledger.spent.policy_tokens == 2 * policy.tokens == 2 * bill.paid
    assert ledger.spent.cost == 2 * bill.paid


async def test_a_replayed_response_is_charged_to_its_tree_and_not_to_the_bill(
    tmp_path: Path,
) -> None:
    bills = [Bill(), Bill()]
    for bill in bills:
        with Journal(tmp_path / JOURNAL) as journal:
            memory = Remembering(journal, Spend())
            run = RunWide(prices={"small": DOLLAR, "prm": DOLLAR}, bill=bill, memory=memory)
            models = Models(
                stack(FakePolicy(), name="small", demand=NOBODY, run=run),
                stack_prm(FakePRM(), name="prm", draws=lambda problem: [], run=run),
            )
            ports = tree_ports(models, Ledger(), Terms(policy_price=DOLLAR))
            scored = await ports.models.prm.score(await ports.models.policy.extend(ROOT, 2, WHOLE))
            assert ports.recorder.leaves() == scored
    assert bills[0].paid > 0.0 == bills[1].paid


@pytest.mark.parametrize(("one_per_request", "requests"), [(set(), 1), ({"small"}, 4)])
async def test_samples_that_are_a_request_each_are_journaled_each(
    tmp_path: Path, one_per_request: set[str], requests: int
) -> None:
    with Journal(tmp_path / JOURNAL) as journal:
        memory, separate = Remembering(journal, Spend()), frozenset(one_per_request)
        run = RunWide(memory=memory, one_per_request=separate)
        await stack(FakePolicy(), name="small", demand=NOBODY, run=run).extend(ROOT, 4, WHOLE)
    kept = journal_info(tmp_path / JOURNAL)
    assert kept is not None and kept.responses == requests


async def test_the_bill_stops_what_is_sent_before_it_is_counted() -> None:
    sent, bill = Spend(), Bill(limit=0.0)
    run = RunWide(prices={"small": DOLLAR}, bill=bill, sent=sent)
    with pytest.raises(BudgetExhausted):
        await stack(FakePolicy(), name="small", demand=NOBODY, run=run).extend(ROOT, 1, WHOLE)
    assert sent == Spend()


async def test_a_tree_out_of_budget_sends_nothing_and_still_has_its_leaves() -> None:
    policy = FakePolicy()
    models = Models(stack(policy, name="small", demand=NOBODY, run=RunWide()), FakePRM())
    ports = tree_ports(models, Ledger("problem", Limits(requests=1)), Terms())
    children = await ports.models.policy.extend(ROOT, 2, WHOLE)
    with pytest.raises(BudgetExhausted):
        await ports.models.policy.extend(children[0], 1, WHOLE)
    assert (len(policy.requests), ports.recorder.leaves()) == (1, children)
