"""One tree for a question alone: no reference answer, no problem set, no cell."""

import asyncio
from typing import Any

import pytest

from orchestrator.core.budget import Limits, Price
from orchestrator.core.node import Node
from orchestrator.core.ports import Models, Policy
from orchestrator.errors import ConfigError, EndpointUnavailable
from orchestrator.runs.ports.stack import Terms
from orchestrator.runs.ports.unscored import Unscored
from orchestrator.runs.search import SearchProgress, search
from orchestrator.strategies import STRATEGIES, BeamSearch, BestOfN
from orchestrator.strategies.settings import Stop
from orchestrator.testing.fakes import FakePolicy, FakePRM

QUESTION = "What is 3 + 4?"


def answering(**settings: Any) -> FakePolicy:
    return FakePolicy(script=lambda node, index: rf"It is \boxed{{{index}}}.", **settings)


async def test_a_question_is_all_that_a_search_needs() -> None:
    policy, prm = answering(), FakePRM()
    found = await search(QUESTION, BestOfN(n=4), Models(policy, prm))
    assert [leaf.text for leaf in found.leaves] == [rf"It is \boxed{{{i}}}." for i in range(4)]
    assert (found.ran_out, found.error, found.decision) == (None, None, None)
    assert found.spent.policy_tokens == policy.tokens and found.spent.prm_tokens == prm.tokens
    assert (found.samples, found.ends, found.failed_branches) == (4, {}, 0)


async def test_a_search_without_a_prm_scores_nothing() -> None:
    found = await search(QUESTION, STRATEGIES["majority"](n=3), Models(answering(), Unscored()))
    assert [leaf.scores for leaf in found.leaves] == [(), (), ()]


async def test_a_limit_of_the_money_ends_a_search_with_the_leaves_it_has() -> None:
    price = Price(input=0.0, output=1e6)  # a dollar a token
    found = await search(
        QUESTION,
        BeamSearch(n=4),
        Models(FakePolicy(), FakePRM()),
        Limits(cost=1.0),
        terms=Terms(policy_price=price),
    )
    assert (found.ran_out, found.error) == ("cost", None)
    assert found.leaves and found.spent.cost == found.spent.policy_tokens > 1.0


async def test_a_deadline_ends_a_search_with_the_leaves_it_has() -> None:
    async def forever(node: Node) -> None:
        if node.steps:
            await asyncio.Event().wait()

    models = Models(FakePolicy(pause=forever), FakePRM())
    found = await search(QUESTION, BeamSearch(n=4), models, Limits(seconds=0.02))
    assert (found.ran_out, found.error) == ("seconds", None)
    assert len(found.leaves) == 4 and found.seconds >= 0.02


async def test_progress_is_reported_after_each_response() -> None:
    policy, prm, seen = FakePolicy(), FakePRM(), list[SearchProgress]()
    found = await search(QUESTION, BeamSearch(n=4), Models(policy, prm), on_progress=seen.append)
    assert len(seen) == len(policy.requests) + len(prm.requests)
    tokens = [each.spent.tokens for each in seen]
    assert tokens == sorted(tokens) and tokens[-1] == found.spent.tokens
    assert len(seen[0].leaves) == 4  # the first steps
    assert {leaf.path for leaf in found.leaves} <= {leaf.path for leaf in seen[-1].leaves}


async def test_a_cancelled_search_leaves_no_request_behind() -> None:
    under_way = asyncio.Event()
    ended: list[str] = []

    async def pause(node: Node) -> None:
        under_way.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(node.question)

    models = Models(FakePolicy(pause=pause), FakePRM())
    task = asyncio.create_task(search(QUESTION, BeamSearch(n=4), models))
    await under_way.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == [QUESTION]


async def test_a_search_whose_callback_fails_fails_with_its_error() -> None:
    def broken(progress: SearchProgress) -> None:
        raise ZeroDivisionError

    models = Models(answering(), FakePRM())
    with pytest.raises(ZeroDivisionError):
        await search(QUESTION, BestOfN(n=4), models, on_progress=broken)


async def test_an_endpoint_that_is_gone_is_an_outcome() -> None:
    policy: Policy = answering(failures={1: EndpointUnavailable("nothing answers", url="")})
    found = await search(QUESTION, BestOfN(n=4), Models(policy, FakePRM()))
    assert (found.leaves, found.ran_out, found.error) == ([], "endpoint", "nothing answers")


async def test_a_strategy_that_goes_by_answers_needs_somebody_to_read_them() -> None:
    strategy = STRATEGIES["majority"](n=4, stop=Stop(rule="unanimous"))
    with pytest.raises(ConfigError, match="pass `answers`"):
        await search(QUESTION, strategy, Models(answering(), Unscored()))
