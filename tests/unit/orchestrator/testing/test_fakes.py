import asyncio

import pytest

from orchestrator.core.confidence import Confidence
from orchestrator.core.node import Node, root
from orchestrator.core.ports import PRM, Policy, Sampling
from orchestrator.errors import EndpointUnavailable
from orchestrator.testing.fakes import FakePolicy, FakePRM, Sampled, chains

ROOT = root("What is 1 + 1?", seed=1, problem_id="p")
STEP = Sampling(temperature=0.7)
WHOLE = Sampling(temperature=0.7, until="end")


async def test_the_fakes_are_ordinary_ports() -> None:
    policy: Policy = FakePolicy()
    prm: PRM = FakePRM()
    assert len(await prm.score(await policy.extend(ROOT, 2, STEP))) == 2


async def test_children_follow_from_seed_and_index_alone() -> None:
    policy = FakePolicy()
    eight = await policy.extend(ROOT, 8, STEP)
    assert await policy.extend(ROOT, 3, STEP) == eight[:3]
    assert len({child.text for child in eight}) == 8
    other = await policy.extend(root("What is 1 + 1?", seed=2, problem_id="p"), 8, STEP)
    assert {child.text for child in other}.isdisjoint(child.text for child in eight)


async def test_a_whole_solution_takes_all_steps_of_its_script() -> None:
    (whole,) = await FakePolicy(script=chains(depth=4)).extend(ROOT, 1, WHOLE)
    assert (len(whole.steps), whole.finish, whole.path) == (4, "stop", (0,))
    assert r"\boxed" in whole.steps[-1]


async def test_words_are_tokens_and_all_are_counted() -> None:
    policy, prm = FakePolicy(script=lambda node, index: "a b c"), FakePRM()
    children = await policy.extend(ROOT, 2, STEP)
    assert [(c.step_tokens, c.tokens, c.prompt_tokens) for c in children] == [(3, 3, 5)] * 2
    assert [node.prm_tokens for node in await prm.score(children)] == [8, 8]
    assert (policy.tokens, prm.tokens) == (6, 16)


async def test_log_probabilities_come_where_they_are_asked_for_and_the_server_has_them() -> None:
    asked = Sampling(temperature=0.7, until="end", logprobs=True, question_logprob=True)
    first, second = await FakePolicy().extend(ROOT, 2, asked)
    assert first.confidence and second.confidence
    assert -1 < first.confidence.mean != second.confidence.mean < 0
    assert first.question_logprob == second.question_logprob is not None
    (silent,) = await FakePolicy().extend(ROOT, 1, WHOLE)
    (without,) = await FakePolicy(likelihood=None).extend(ROOT, 1, asked)
    for child in (silent, without):
        assert (child.confidence, child.question_logprob) == (None, None)


async def test_the_likelihood_of_words_is_what_a_script_says() -> None:
    policy = FakePolicy(likelihood=lambda seed, word: -0.5 if word == "Step" else 0.0)
    (child,) = await policy.extend(ROOT, 1, Sampling(temperature=0.7, logprobs=True))
    assert child.confidence == Confidence.level(-0.5 / 4)


async def test_a_sample_is_cut_at_max_tokens() -> None:
    policy = FakePolicy(script=lambda node, index: "one two three\n\n")
    (step,) = await policy.extend(ROOT, 1, Sampling(temperature=0.7, max_tokens=2))
    assert (step.steps, step.finish, step.step_tokens) == (("one two",), "length", 2)
    (whole,) = await policy.extend(ROOT, 1, Sampling(temperature=0.7, max_tokens=7, until="end"))
    assert (whole.finish, whole.tokens) == ("length", 7)


async def test_a_solution_without_end_is_cut_at_the_longest() -> None:
    policy = FakePolicy(script=lambda node, index: "on\n\n", longest=5)
    (whole,) = await policy.extend(ROOT, 1, WHOLE)
    assert (whole.finish, len(whole.steps)) == ("length", 5)


async def test_beyond_its_context_a_policy_or_prm_overflows() -> None:
    children = await FakePolicy(context=4).extend(ROOT, 3, STEP)
    assert [child.finish for child in children] == ["overflow"]
    nodes = [ROOT.child(0, ("a",)), ROOT.child(1, ("a b c",))]
    scored = await FakePRM(context=6).score(nodes)
    assert [node.finish for node in scored] == [None, "overflow"]


async def test_every_request_is_remembered_and_the_chosen_ones_fail() -> None:
    error = EndpointUnavailable("gone", url="")
    policy, prm = FakePolicy(failures={2: error}), FakePRM(failures={1: error})
    await policy.extend(ROOT, 1, STEP)
    with pytest.raises(EndpointUnavailable):
        await policy.extend(ROOT, 2, WHOLE)
    assert policy.requests == [Sampled(ROOT, 1, STEP), Sampled(ROOT, 2, WHOLE)]
    with pytest.raises(EndpointUnavailable):
        await prm.score([ROOT])
    assert await prm.score([ROOT]) == [ROOT]
    assert prm.requests == [[ROOT], [ROOT]]


async def test_scores_depend_on_the_text_alone_and_lie_between_0_and_1() -> None:
    one = ROOT.child(0, ("a", "b"))
    two = ROOT.child(5, ("a", "c"))
    (first, second) = await FakePRM().score([one, two])
    assert first.scores[0] == second.scores[0]
    assert first.scores[1] != second.scores[1]
    assert all(0 <= score < 1 for score in (*first.scores, *second.scores))


async def test_a_pause_holds_an_answer_back() -> None:
    gate = asyncio.Event()

    async def wait(node: Node) -> None:
        await gate.wait()

    asked = asyncio.create_task(FakePolicy(pause=wait).extend(ROOT, 1, STEP))
    await asyncio.sleep(0)
    assert not asked.done()
    gate.set()
    assert len(await asked) == 1
