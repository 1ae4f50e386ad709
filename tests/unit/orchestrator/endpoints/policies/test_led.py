"""Steps that are led past a blank line which the server trims: what is asked, drawn and charged."""

from typing import Any

import pytest

from orchestrator.core.node import Node, derive_seed, root
from orchestrator.core.ports import Sampling
from orchestrator.endpoints.policies.led import LEAD_TOKENS, LedPolicy
from orchestrator.errors import BadResponse, EndpointRefused

STEP = Sampling(temperature=0.7, max_tokens=64)
BEGUN = root("What is 1 + 1?", seed=1, problem_id="p").child(0, ("One.\n\n",), step_tokens=2)


def ask(question: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}]


def chat(*texts: str, finish: str = "stop", prompt: int = 10) -> dict[str, Any]:
    choices = [
        {"index": i, "message": {"content": text}, "finish_reason": finish}
        for i, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": prompt, "completion_tokens": 4 * len(texts)}
    return {"model": "m", "choices": choices, "usage": usage}


def new(children: list[Node]) -> list[str]:
    assert all(child.steps[0] == "One.\n\n" for child in children)
    return ["|".join(child.steps[1:]) for child in children]


async def test_beginnings_come_of_one_request_and_each_rest_of_one_of_its_own(
    scripted: Any,
) -> None:
    lead = chat("\n\nTwo is ", "\n\nThree", "\n\nEnd.\n\nFo", finish="length")
    transport = scripted(lead, chat("more.\n\n", prompt=12), chat(" is all.", prompt=13))
    children = await LedPolicy(transport, ask).extend(BEGUN, 3, STEP)
    assert new(children) == ["Two ismore.\n\n", "Three is all.", "End.\n\n"]
    assert [child.finish for child in children] == [None, "stop", None]
    first, *others = [sent.body for sent in transport.sent]
    assert "stop" not in first and (first["n"], first["max_tokens"]) == (3, LEAD_TOKENS)
    assert first["messages"][-1] == {"role": "assistant", "content": "One."}
    assert all(body["stop"] == ["\n\n"] and "n" not in body for body in others)
    assert all(body["max_tokens"] == 64 - LEAD_TOKENS for body in others)
    contents = [body["messages"][-1]["content"] for body in others]
    assert contents == ["One.\n\nTwo is", "One.\n\nThree"]
    assert len({body["seed"] for body in (first, *others)}) == 3


async def test_every_prompt_and_token_is_charged_once(scripted: Any) -> None:
    lead = chat("\n\nTwo", "\n\nDone.\n\nFo", finish="length")
    children = await LedPolicy(scripted(lead, chat(" is.\n\n", prompt=12)), ask).extend(
        BEGUN, 2, STEP
    )
    assert [(c.request, c.prompt_tokens, c.step_tokens) for c in children] == [
        (1, 12, 8),
        (0, 10, 4),
    ]
    lead = chat("\n\nTwo", finish="length")
    (alone,) = await LedPolicy(scripted(lead, chat(" is.\n\n", prompt=12)), ask).extend(
        BEGUN, 1, STEP
    )
    assert (alone.prompt_tokens, alone.step_tokens, alone.tokens) == (22, 8, 10)


@pytest.mark.parametrize(
    ("text", "finish", "step", "ended"),
    [
        ("\n\nThe end.", "stop", "The end.", "stop"),
        ("\n\n", "length", "\n\n", None),
        ("\n\nTwo.\n\n", "stop", "Two.\n\n", None),
    ],
)
async def test_a_step_that_ends_in_its_beginning_takes_no_second_request(
    scripted: Any, text: str, finish: str, step: str, ended: str | None
) -> None:
    transport = scripted(chat(text, finish=finish))
    (child,) = await LedPolicy(transport, ask).extend(BEGUN, 1, STEP)
    assert (new([child]), child.finish) == ([step], ended)


async def test_a_step_whose_bound_is_the_beginning_is_cut_there(scripted: Any) -> None:
    transport = scripted(chat("\n\nTwo", finish="length"))
    few = Sampling(temperature=0.7, max_tokens=8)
    (child,) = await LedPolicy(transport, ask).extend(BEGUN, 1, few)
    assert (new([child]), child.finish) == (["Two"], "length")
    assert transport.sent[0].body["max_tokens"] == 8


async def test_a_rest_that_fails_costs_its_own_step_and_a_wrong_key_the_run(
    scripted_once: Any,
) -> None:
    lead = chat("\n\nTwo", "\n\nThree", finish="length")
    bad = BadResponse("nonsense", url="", is_final=True)
    transport = scripted_once(lead, bad, chat(" is.\n\n"))
    (child,) = await LedPolicy(transport, ask).extend(BEGUN, 2, STEP)
    assert new([child]) in (["Two is.\n\n"], ["Three is.\n\n"])
    with pytest.raises(BadResponse):
        await LedPolicy(scripted_once(lead, bad, bad), ask).extend(BEGUN, 2, STEP)
    key = EndpointRefused("wrong key", url="")
    with pytest.raises(EndpointRefused):
        await LedPolicy(scripted_once(lead, key, key), ask).extend(BEGUN, 2, STEP)


async def test_first_steps_and_whole_solutions_are_asked_for_as_ever(scripted: Any) -> None:
    start = root("What is 1 + 1?", seed=1, problem_id="p")
    transport = scripted(chat("One.\n\n"), chat("\n\nTwo.\n\nThree."))
    policy = LedPolicy(transport, ask)
    (first,) = await policy.extend(start, 1, STEP)
    assert transport.sent[0].body["stop"] == ["\n\n"] and first.finish is None
    whole = Sampling(temperature=0.7, max_tokens=64, until="end")
    (rest,) = await policy.extend(BEGUN, 1, whole)
    assert rest.steps == ("One.\n\n", "Two.\n\n", "Three.")
    assert transport.sent[1].body["messages"][-1]["content"] == "One."


@pytest.mark.parametrize(("most", "requests"), [(15, 1), (16, 1), (17, 2)])
async def test_a_beginning_is_gone_on_with_where_its_bound_leaves_a_token(
    scripted: Any, most: int, requests: int
) -> None:
    transport = scripted(chat("\n\nTwo", finish="length"), chat(" is.\n\n"))
    sampling = Sampling(temperature=0.7, max_tokens=most)
    await LedPolicy(transport, ask).extend(BEGUN, 1, sampling)
    assert len(transport.sent) == requests
    assert transport.sent[0].body["max_tokens"] == min(most, 16)
    assert [sent.body["max_tokens"] for sent in transport.sent[1:]] == [1] * (requests - 1)


async def test_where_every_step_has_a_request_of_its_own_the_first_pays_for_their_beginning(
    scripted: Any,
) -> None:
    lead = chat("\n\nTwo", "\n\nThree", finish="length")
    transport = scripted(lead, chat(" is.\n\n", prompt=12), chat(" is.\n\n", prompt=13))
    children = await LedPolicy(transport, ask).extend(BEGUN, 2, STEP)
    assert [(c.request, c.prompt_tokens) for c in children] == [(1, 22), (2, 13)]
    assert [sent.body["seed"] for sent in transport.sent[1:]] == [
        derive_seed(BEGUN.seed, "rest", number) for number in (0, 1)
    ]
