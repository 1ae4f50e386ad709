from typing import Any

import pytest

from orchestrator.endpoints.policies.emulated_continuation import InstructedPolicy
from orchestrator.endpoints.policies.http_policy import ChatPolicy, HttpPolicy, TokenPolicy
from orchestrator.endpoints.policies.led import LedPolicy
from orchestrator.endpoints.policies.rendered import RenderedPolicy
from orchestrator.errors import BadResponse, ContextOverflow
from orchestrator.runs.ports.one_per_request import SeparateSamples
from tests.unit.orchestrator.endpoints.policies.answers import (
    ROOT,
    STEP,
    WHOLE,
    ask,
    chat,
    completion,
)

TOO_LONG = ContextOverflow("maximum context length", url="")


async def test_the_first_step_goes_over_chat_with_all_children_in_one_request(
    scripted: Any,
) -> None:
    transport = scripted(chat("a\n\n", "b", prompt_ids=[1, 2]))
    await TokenPolicy(transport, ask).extend(ROOT, 2, STEP)
    (sent,) = transport.sent
    assert sent.url == "http://host/v1/chat/completions"
    assert sent.body == {
        "model": "m", "messages": ask("What is 1 + 1?"), "n": 2, "max_tokens": 64,
        "temperature": 0.7, "top_p": 1.0, "seed": ROOT.seed, "stop": ["\n\n"],
        "include_stop_str_in_output": True, "return_token_ids": True,
    }  # fmt: skip


async def test_later_steps_continue_by_token_ids(scripted: Any) -> None:
    transport = scripted(chat("a\n\n", prompt_ids=[1, 2]), completion("b\n\n", "c"))
    policy = TokenPolicy(transport, ask)
    (first,) = await policy.extend(ROOT, 1, STEP)
    assert first.token_ids == (b"1,2", b"97,10,10")
    second, third = await policy.extend(first, 2, STEP)
    sent = transport.sent[1]
    assert sent.url == "http://host/v1/completions"
    assert sent.body["prompt"] == [1, 2, ord("a"), 10, 10]
    assert sent.body["seed"] == first.seed
    assert second.token_ids == (b"1,2", b"97,10,10", b"98,10,10")
    assert (second.steps, third.steps) == (("a\n\n", "b\n\n"), ("a\n\n", "c"))
    assert second.path == (0, 0)


async def test_a_chat_policy_continues_an_open_assistant_message(scripted: Any) -> None:
    transport = scripted(chat("a\n\n"), chat("b"))
    policy = ChatPolicy(transport, ask)
    (first,) = await policy.extend(ROOT, 1, STEP)
    assert first.token_ids is None
    await policy.extend(first, 1, STEP)
    body = transport.sent[1].body
    assert body["messages"] == [*ask("What is 1 + 1?"), {"role": "assistant", "content": "a\n\n"}]
    assert (body["add_generation_prompt"], body["continue_final_message"]) == (False, True)
    assert "return_token_ids" not in body


ASKED = ROOT.child(0, ("a\n\n", "2"), token_ids=(b"1", b"2"), finish="stop").ask("Are you sure?")
CONVERSATION = [
    *ask("What is 1 + 1?"),
    {"role": "assistant", "content": "a\n\n2"},
    {"role": "user", "content": "Are you sure?"},
]


@pytest.mark.parametrize("kind", [TokenPolicy, ChatPolicy, LedPolicy, RenderedPolicy])
async def test_a_further_question_goes_over_chat_with_all_turns_before_it(
    scripted: Any, kind: type[HttpPolicy]
) -> None:
    transport = scripted(chat("Yes.\n\n", prompt_ids=[1, 2, 3]))
    (child,) = await kind(transport, ask).extend(ASKED, 1, STEP)
    (sent,) = transport.sent
    assert sent.url == "http://host/v1/chat/completions"
    assert sent.body["messages"] == CONVERSATION
    assert sent.body.get("add_generation_prompt", True)
    assert sent.body["seed"] == ASKED.seed
    assert (child.steps, child.earlier) == (("Yes.\n\n",), ASKED.earlier)


async def test_the_answer_to_a_further_question_continues_by_token_ids(scripted: Any) -> None:
    transport = scripted(chat("a\n\n", prompt_ids=[1, 2, 3]), completion("b"))
    policy = TokenPolicy(transport, ask)
    (first,) = await policy.extend(ASKED, 1, STEP)
    (second,) = await policy.extend(first, 1, STEP)
    assert transport.sent[1].body["prompt"] == [1, 2, 3, 97, 10, 10]
    assert second.steps == ("a\n\n", "b")


async def test_the_answer_to_a_further_question_continues_over_chat(scripted: Any) -> None:
    transport = scripted(chat("b"))
    await ChatPolicy(transport, ask).extend(ASKED.child(0, ("Yes.\n\n",)), 1, STEP)
    body = transport.sent[0].body
    assert body["messages"] == [*CONVERSATION, {"role": "assistant", "content": "Yes.\n\n"}]
    assert body["continue_final_message"]


async def test_the_answer_to_a_further_question_continues_as_rendered(scripted: Any) -> None:
    ids = {"tokens": [7], "count": 1, "max_model_len": 99}
    transport = scripted(ids, ids | {"tokens": [7, 8]}, ids | {"tokens": [1, 2]}, completion("b"))
    await RenderedPolicy(transport, ask).extend(ASKED.child(0, ("Yes.\n\n",)), 1, STEP)
    *_, rendered, sent = transport.sent
    assert rendered.body["messages"] == [*CONVERSATION, {"role": "assistant", "content": "Yes."}]
    assert sent.body["prompt"] == [1, 2, 8]


async def test_an_instruction_for_the_next_step_joins_the_last_question(scripted: Any) -> None:
    transport = scripted(chat("Yes.\n\nmore"), chat("b"))
    policy = InstructedPolicy(transport, ask)
    (first,) = await policy.extend(ASKED, 1, STEP)
    await policy.extend(first, 1, STEP)
    for sent, told in zip(transport.sent, ("Write the first step", "-----\nYes."), strict=True):
        *before, last = sent.body["messages"]
        assert before == CONVERSATION[:-1]
        assert last["content"].startswith("Are you sure?\n\n") and told in last["content"]


async def test_what_a_user_says_in_a_row_is_one_message(scripted: Any) -> None:
    transport = scripted(chat("2"))
    asked = ROOT.child(0, (), finish="empty").ask("Please answer.")
    await ChatPolicy(transport, ask).extend(asked, 1, STEP)
    assert transport.sent[0].body["messages"] == ask("What is 1 + 1?\n\nPlease answer.")


async def test_a_path_ends_where_its_text_does_not_end_with_the_separator(scripted: Any) -> None:
    answer = chat("goes on\n\n", "done", "cut", "stopped")
    answer["choices"][2]["finish_reason"] = "length"
    answer["choices"][3]["stop_reason"] = "\n\n"
    children = await ChatPolicy(scripted(answer), ask).extend(ROOT, 4, STEP)
    assert [child.finish for child in children] == [None, "stop", "length", None]


async def test_a_whole_solution_comes_back_as_its_steps_and_asks_for_no_stop(
    scripted: Any,
) -> None:
    answer = chat("a\n\nb\n\n", "a\n\n\n\nc")
    answer["choices"][1]["finish_reason"] = "length"
    transport = scripted(answer)
    children = await ChatPolicy(transport, ask).extend(ROOT, 2, WHOLE)
    assert [child.steps for child in children] == [("a\n\n", "b\n\n"), ("a\n\n", "c")]
    assert [child.finish for child in children] == ["stop", "length"]
    assert not {"stop", "include_stop_str_in_output"} & set(transport.sent[0].body)


async def test_choices_are_ordered_by_their_index(scripted: Any) -> None:
    answer = chat("first", "second")
    answer["choices"].reverse()
    children = await ChatPolicy(scripted(answer), ask).extend(ROOT, 2, STEP)
    assert [child.text for child in children] == ["first", "second"]


async def test_tokens_are_counted_by_id_and_the_prompt_by_usage(scripted: Any) -> None:
    answer = chat(
        "abc", "", prompt_ids=[1, 2], prompt_tokens=2, completion_tokens=9,
        prompt_tokens_details={"cached_tokens": 1},
    )  # fmt: skip
    children = await TokenPolicy(scripted(answer), ask).extend(ROOT, 2, STEP)
    assert [child.step_tokens for child in children] == [3, 0]
    assert [(child.prompt_tokens, child.cached_tokens) for child in children] == [(2, 1)] * 2


async def test_without_ids_the_generated_tokens_are_shared_out_to_the_last(scripted: Any) -> None:
    answer = chat("a", "b", "c", completion_tokens=11)
    children = await ChatPolicy(scripted(answer), ask).extend(ROOT, 3, STEP)
    assert [child.step_tokens for child in children] == [4, 4, 3]


@pytest.mark.parametrize("usage", [None, {"prompt_tokens": None, "completion_tokens": 3}])
async def test_a_usage_that_is_null_is_as_a_missing_one(scripted: Any, usage: Any) -> None:
    answer = chat("It is 4.")
    answer["usage"] = usage
    (child,) = await ChatPolicy(scripted(answer), ask).extend(ROOT, 1, WHOLE)
    assert (child.text, child.prompt_tokens) == ("It is 4.", 0)
    assert child.step_tokens == (3 if usage else 0)


async def test_the_name_of_another_model_goes_with_its_samples(scripted: Any) -> None:
    for answered, known in [("gpt-4o-2024-08-06", None), ("gpt-4o-mini", "gpt-4o-mini")]:
        answer = chat("It is 4.") | {"model": answered}
        transport = scripted(answer, model="gpt-4o", checks_model=False)
        (child,) = await ChatPolicy(transport, ask).extend(ROOT, 1, WHOLE)
        assert child.model == child.scored([0.5]).model == known
    deployment = scripted(chat("a") | {"model": "gpt-4o"}, model="mine", checks_model=False,
                          is_alias=True)  # fmt: skip
    (child,) = await ChatPolicy(deployment, ask).extend(ROOT, 1, WHOLE)
    assert child.model is None


async def test_a_server_without_token_ids_is_told_apart_with_what_to_set(
    scripted_once: Any,
) -> None:
    with pytest.raises(BadResponse, match="set `continuation: chat`"):
        await TokenPolicy(scripted_once(chat("a")), ask).extend(ROOT, 1, STEP)


async def test_max_tokens_beyond_the_context_become_all_the_room_there_is(scripted: Any) -> None:
    """vLLM refuses prompt + max_tokens > max_model_len, which CoT's 8192 of 8192 always is."""
    transport = scripted(TOO_LONG, chat("a\n\n", prompt_ids=[1]), TOO_LONG, completion("b"))
    policy = TokenPolicy(transport, ask)
    (first,) = await policy.extend(ROOT, 1, WHOLE)
    (second,) = await policy.extend(first, 1, STEP)
    assert (first.finish, second.finish) == ("stop", "stop")
    bounds = [sent.body.get("max_tokens", "none said") for sent in transport.sent]
    assert bounds == [512, "none said", 64, None]


@pytest.mark.parametrize("kind", [TokenPolicy, ChatPolicy])
async def test_a_prompt_beyond_the_context_is_one_child_that_overflowed(
    scripted: Any, kind: Any
) -> None:
    children = await kind(scripted(TOO_LONG, TOO_LONG), ask).extend(ROOT, 4, STEP)
    assert [(child.finish, child.steps) for child in children] == [("overflow", ())]


async def test_a_stop_string_the_server_names_but_cuts_off_is_put_back(scripted: Any) -> None:
    answer = chat("a", "b")
    answer["choices"][0]["matched_stop"] = "\n\n"  # as SGLang says it
    answer["choices"][1]["matched_stop"] = 151645  # the end of the turn
    goes_on, ended = await ChatPolicy(scripted(answer), ask).extend(ROOT, 2, STEP)
    assert (goes_on.steps, goes_on.finish) == (("a\n\n",), None)
    assert (ended.steps, ended.finish) == (("b",), "stop")


async def test_separate_samples_are_requests_with_seeds_of_their_own(scripted: Any) -> None:
    answers = [chat(text, prompt_tokens=5, completion_tokens=2) for text in "abc"]
    transport = scripted(*answers)
    policy = SeparateSamples(ChatPolicy(transport, ask))
    children = await policy.extend(ROOT, 3, WHOLE)
    assert [child.steps for child in children] == [("a",), ("b",), ("c",)]
    assert [child.path for child in children] == [(0,), (1,), (2,)]
    assert len({sent.body["seed"] for sent in transport.sent}) == 3
    assert all("n" not in sent.body for sent in transport.sent)
    assert [(child.prompt_tokens, child.request) for child in children] == [(5, 0), (5, 1), (5, 2)]
    assert [child.seed for child in children] == [ROOT.child(i, ()).seed for i in range(3)]


async def test_one_sample_needs_no_separation(scripted: Any) -> None:
    transport = scripted(chat("a"))
    await SeparateSamples(ChatPolicy(transport, ask)).extend(ROOT, 1, WHOLE)
    assert transport.sent[0].body["seed"] == ROOT.seed


@pytest.mark.parametrize(("prompt_tokens", "finish"), [(99, "stop"), (100, "overflow")])
async def test_a_prompt_as_long_as_its_server_cuts_them_is_beyond_the_context(
    scripted: Any, prompt_tokens: int, finish: str
) -> None:
    answer = chat("done", prompt_tokens=prompt_tokens)
    (child,) = await ChatPolicy(scripted(answer, answer), ask, cuts_at=100).extend(ROOT, 1, STEP)
    assert child.finish == finish


async def test_what_is_left_over_of_the_tokens_goes_to_the_first_samples(scripted: Any) -> None:
    transport = scripted(chat("a", "b", "c", completion_tokens=11))
    children = await ChatPolicy(transport, ask).extend(ROOT, 3, STEP)
    assert [child.step_tokens for child in children] == [4, 4, 3]
