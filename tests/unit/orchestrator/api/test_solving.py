"""``orchard.solve`` on models without a server."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

import orchestrator as orchard
from orchestrator.core.node import Node
from orchestrator.optimal.cascade.plan import Cascade
from orchestrator.optimal.profile import ProfiledModel, dumped
from orchestrator.testing import FakePolicy, FakePRM, run_in_virtual_time
from tests.unit.orchestrator.optimal.small_across import profile_of
from tests.unit.orchestrator.optimal.small_plan import GREEDY, LARGE, PILOTS
from tests.unit.orchestrator.optimal.small_profile import small_profile

QUESTION = "What is 3 + 4?"


def answering(*answers: int) -> FakePolicy:
    """Whole solutions with these answers, in order."""
    return FakePolicy(script=lambda node, index: rf"Way {index} finds \boxed{{{answers[index]}}}.")


def judge(question: str, steps: tuple[str, ...]) -> float:
    return 0.75 if "7" in steps[-1] else 0.25


async def solve(policy: Any, prm: Any = (), **settings: Any) -> orchard.Answer:
    async with orchard.connect(policy=policy, prm=prm) as models:
        return await orchard.solve(QUESTION, models, **settings)


async def test_the_answer_of_the_vote_comes_with_the_solution_that_states_it() -> None:
    answer = await solve(
        answering(5, 7, 7, 6), strategy=orchard.MajorityVoting(n=4), vote=orchard.Majority()
    )
    assert (answer.value, answer.text) == ("7", r"Way 1 finds \boxed{7}.")
    assert [leaf.answer for leaf in answer.leaves] == ["5", "7", "7", "6"]
    assert (answer.ran_out, answer.error) == (None, None)
    assert answer.spent.requests == 1 and answer.spent.policy_tokens == 16


async def test_confidence_is_the_winners_share_of_the_votes_weight() -> None:
    sampled: dict[str, Any] = {"strategy": orchard.BestOfN(n=4)}
    for vote, share in (
        (orchard.Majority(), 0.5),
        (orchard.Weighted("last"), 1.5 / 2.0),
        (orchard.Max("last"), 1.0),
    ):
        answer = await solve(answering(5, 7, 7, 6), FakePRM(judge=judge), vote=vote, **sampled)
        assert (answer.value, answer.confidence) == ("7", pytest.approx(share))


async def test_an_answer_says_which_vote_decided_it() -> None:
    asked: dict[str, Any] = {"strategy": orchard.MajorityVoting(n=3), "vote": orchard.Max("last")}
    unscored = await solve(answering(7, 7, 5), **asked)
    assert (unscored.value, unscored.decided_by) == ("7", orchard.Majority())
    scored = await solve(answering(5, 7), FakePRM(judge=judge), strategy=orchard.BestOfN(n=2))
    assert scored.decided_by == orchard.Weighted("last")


async def test_where_no_solution_states_an_answer_there_is_none_and_no_confidence() -> None:
    silent = FakePolicy(script=lambda node, index: "I give up.")
    answer = await solve(silent, strategy=orchard.MajorityVoting(n=4))
    assert (answer.value, answer.text, answer.confidence) == (None, None, 0.0)
    assert len(answer.leaves) == 4


async def test_scores_weigh_the_vote_unless_another_is_asked_for_and_else_the_majority() -> None:
    strategy = orchard.BestOfN(n=3)
    by_scores = await solve(
        answering(5, 5, 7), FakePRM(judge=lambda q, s: "7" in s[-1]), strategy=strategy
    )
    assert by_scores.value == "7"
    unscored = await solve(answering(5, 5, 7), strategy=orchard.MajorityVoting(n=3))
    assert unscored.value == "5"


@pytest.mark.parametrize(
    ("limits", "ran_out"),
    [
        (orchard.Limits(tokens=60), "tokens"),
        (orchard.Limits(requests=3), "requests"),
        (orchard.Limits(policy_tokens=30), "policy_tokens"),
    ],
)
async def test_when_a_limit_is_used_up_what_is_there_answers_and_the_answer_says_which(
    limits: orchard.Limits, ran_out: str
) -> None:
    def one_finishes(node: Node, index: int) -> str:
        return (
            r"So \boxed{7}."
            if not node.steps and index == 0
            else "On and on " + "and on " * index + "\n\n"
        )

    strategy = orchard.BeamSearch(n=4, width=2)
    answer = await solve(
        FakePolicy(script=one_finishes), FakePRM(), strategy=strategy, limits=limits
    )
    assert (answer.ran_out, answer.value) == (ran_out, "7")


def test_at_the_deadline_what_is_there_answers() -> None:
    async def slow(node: Node) -> None:
        await asyncio.sleep(20)

    async def main() -> tuple[orchard.Answer, float]:
        began = asyncio.get_running_loop().time()
        answer = await solve(
            FakePolicy(pause=slow),
            FakePRM(),
            strategy=orchard.BeamSearch(n=4),
            limits=orchard.Limits(seconds=30),
        )
        return answer, asyncio.get_running_loop().time() - began

    answer, took = run_in_virtual_time(main())
    assert took == pytest.approx(30)
    assert (answer.ran_out, len(answer.leaves)) == ("seconds", 4)


async def test_progress_is_told_after_each_response_and_never_goes_back() -> None:
    told: list[orchard.SearchProgress] = []
    answer = await solve(
        FakePolicy(), FakePRM(), strategy=orchard.BeamSearch(n=4), on_progress=told.append
    )
    tokens = [each.spent.tokens for each in told]
    assert tokens == sorted(tokens) and tokens[-1] == answer.spent.tokens
    assert len(told) == answer.spent.requests


async def test_the_same_seed_gives_the_same_answer_and_another_seed_another_tree() -> None:
    strategy = orchard.BestOfN(n=8)
    one, again, other = [
        await solve(FakePolicy(), FakePRM(), strategy=strategy, seed=seed) for seed in (1, 1, 2)
    ]
    assert one.leaves == again.leaves != other.leaves


async def test_a_strategy_of_ones_own_is_passed_in_as_it_is() -> None:
    class Twice:
        needs = frozenset[Any]()
        n = 2

        async def __call__(self, root: Node, models: orchard.Models) -> list[Node]:
            sampling = orchard.Sampling(temperature=0.7, until="end")
            return await models.policy.extend(root, 2, sampling)

    answer = await solve(answering(7, 7), strategy=Twice())
    assert (answer.value, answer.confidence, len(answer.leaves)) == ("7", 1.0, 2)


async def test_a_vote_of_ones_own_elects() -> None:
    class Doubt:
        name = "doubt"

        def weights(self, voters: Any, classes: Any) -> list[float | None]:
            return [1.0 - voter.scores[-1] for voter in voters]

    answer = await solve(
        answering(5, 7, 7), FakePRM(judge=judge), strategy=orchard.BestOfN(n=3), vote=Doubt()
    )
    assert (answer.value, answer.confidence) == ("5", pytest.approx(0.75 / 1.25))


async def test_a_search_that_scores_needs_a_prm_and_says_so() -> None:
    with pytest.raises(orchard.ConfigError, match="needs a prm"):
        await solve(FakePolicy(), strategy=orchard.BeamSearch(n=4))


async def test_a_limit_of_the_cost_needs_prices() -> None:
    with pytest.raises(orchard.ConfigError, match="price"):
        await solve(FakePolicy(), strategy=orchard.CoT(), limits=orchard.Limits(cost=0.01))


async def test_of_several_policies_one_is_named() -> None:
    async with orchard.connect(policy=[answering(1), answering(2)]) as models:
        with pytest.raises(orchard.ConfigError, match="name the policy, one of policy, policy-2"):
            await orchard.solve(QUESTION, models, strategy=orchard.CoT())
        answer = await orchard.solve(QUESTION, models, strategy=orchard.CoT(), policy="policy-2")
    assert answer.value == "2"


async def test_a_cancelled_search_leaves_no_request_behind() -> None:
    sent, ended = asyncio.Event(), asyncio.Event()

    async def forever(node: Node) -> None:
        sent.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.set()

    task = asyncio.ensure_future(solve(FakePolicy(pause=forever), strategy=orchard.CoT()))
    await sent.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_auto_chooses_the_search_and_its_vote() -> None:
    answer = await solve(FakePolicy(), FakePRM(), strategy=orchard.Auto(fallback_n=8))
    assert len(answer.leaves) >= 4 and answer.value is not None
    assert (answer.ran_out, answer.error) == (None, None)


async def test_pairs_of_answers_that_cannot_be_compared_are_counted() -> None:
    class Unsure(orchard.MathTask):
        async def same(self, problem: orchard.Problem, a: str, b: str) -> bool | None:
            return True if a == b else None

    answer = await solve(answering(5, 7, 7), strategy=orchard.MajorityVoting(n=3), task=Unsure())
    assert (answer.value, answer.undecided) == ("7", 1)


async def test_what_was_lost_and_how_samples_ended_is_in_the_outcome() -> None:
    lost = orchard.EndpointUnavailable("nothing answers", url="http://policy", is_final=True)
    cut = orchard.BeamSearch(n=4, width=2, max_depth=2, max_tokens=16)
    answer = await solve(FakePolicy(failures={2: lost}), FakePRM(), strategy=cut)
    assert answer.outcome.failed_branches == 1 and answer.outcome.failure == "nothing answers"
    assert answer.value is not None


async def test_auto_goes_from_model_to_model_by_a_profile_across_them(tmp_path: Path) -> None:
    profile = tmp_path / "across.yaml"
    policies = ("policy", "policy-2")
    small = replace(GREEDY, policy="policy")
    hard = Cascade(pilots=PILOTS, first=replace(LARGE, policy="policy-2"))
    plans = {1e3: Cascade(pilots=PILOTS, first=small), 1e6: hard}
    profile.write_text(dumped(profile_of(plans, task="question", policies=policies)))
    for budget, value in ((1e3, "5"), (1e6, "7")):
        answer = await solve(
            [answering(*[5] * 8), answering(*[7] * 8)],
            FakePRM(),
            strategy=orchard.Auto(profile=str(profile), budget=budget, unit="flops"),
        )
        assert (answer.value, answer.error) == (value, None)
        assert answer.outcome.decision is not None
        assert answer.outcome.decision.policy == policies[value == "7"]
        assert sum(use.policy_tokens for use in answer.outcome.models.values()) == (
            answer.spent.policy_tokens
        )


async def test_auto_with_a_profile_of_one_policy_asks_its_policy_and_prm(tmp_path: Path) -> None:
    profile, of = tmp_path / "profile.yaml", small_profile()
    models = {"policy": ProfiledModel("policy"), "prm": ProfiledModel("prm")}
    profile.write_text(dumped(msgspec.structs.replace(of, task="question", **models)))
    auto = orchard.Auto(profile=str(profile), budget=500.0)
    answer = await solve(FakePolicy(), FakePRM(), strategy=auto)
    assert answer.error is None and answer.spent.prm_tokens > 0
