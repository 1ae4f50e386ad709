"""Choices that are missing, broken off, refused or without text."""

from typing import Any

import pytest

from orchestrator.core.budget import Spend
from orchestrator.endpoints.policies.http_policy import ChatPolicy, TokenPolicy
from orchestrator.errors import BadResponse, EndpointUnavailable
from orchestrator.runs.ports.charges import failed_spend, policy_spend
from tests.unit.orchestrator.endpoints.policies.answers import (
    ROOT,
    STEP,
    WHOLE,
    ask,
    chat,
)


async def test_a_choice_too_few_is_asked_for_again(scripted: Any) -> None:
    transport = scripted(chat("a\n\n", prompt_ids=[1]), chat("a\n\n", "b", prompt_ids=[1]))
    children = await TokenPolicy(transport, ask).extend(ROOT, 2, STEP)
    assert [child.steps for child in children] == [("a\n\n",), ("b",)]
    assert len(transport.sent) == 2


@pytest.mark.parametrize("texts", [(), ("a",), ("a", "b", "c")])
async def test_too_few_or_too_many_choices_are_a_bad_response(
    scripted_once: Any, texts: tuple[str, ...]
) -> None:
    with pytest.raises(BadResponse, match=f"{len(texts)} choices where 2 were asked for"):
        await ChatPolicy(scripted_once(chat(*texts)), ask).extend(ROOT, 2, STEP)


def broken(index: int, *texts: str, reason: str | None = "abort", **more: Any) -> dict[str, Any]:
    """An answer one choice of which was broken off."""
    answer = chat(*texts, **more)
    answer["choices"][index]["finish_reason"] = reason
    return answer


@pytest.mark.parametrize("reason", [None, "abort", "error", "insufficient_system_resource"])
async def test_what_was_broken_off_is_asked_for_again(scripted: Any, reason: str | None) -> None:
    for sampling in (STEP, WHOLE):
        transport = scripted(broken(1, "a", "12", reason=reason), chat("a", "b"))
        children = await ChatPolicy(transport, ask).extend(ROOT, 2, sampling)
        assert [child.steps for child in children] == [("a",), ("b",)]
        assert transport.sent[0] == transport.sent[1]


async def test_what_is_good_of_one_try_is_kept_for_the_next(scripted: Any) -> None:
    transport = scripted(broken(0, "?", "b", "c"), broken(1, "a", "?", "other"))
    children = await ChatPolicy(transport, ask).extend(ROOT, 3, STEP)
    assert [child.text for child in children] == ["a", "b", "c"]


async def test_all_tries_of_a_request_are_charged_with_what_came_to_nothing(scripted: Any) -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 30}
    answers = [broken(0, "?", "b", "c", **usage), broken(1, "a", "?", "other", **usage)]
    children = await ChatPolicy(scripted(*answers), ask).extend(ROOT, 3, STEP)
    spent = policy_spend(children)
    assert (spent.prompt_tokens, spent.policy_tokens) == (20, 60)
    assert [child.step_tokens for child in children] == [10, 10, 10]
    assert policy_spend(children[:1]).policy_tokens == 20


async def test_what_a_request_was_billed_for_in_vain_goes_with_its_failure(scripted: Any) -> None:
    details = {"cached_tokens": 4}
    answer = broken(0, "?", prompt_tokens=10, completion_tokens=7, prompt_tokens_details=details)
    with pytest.raises(BadResponse) as caught:
        await ChatPolicy(scripted(answer, answer, answer), ask).extend(ROOT, 1, STEP)
    assert failed_spend(caught.value) == Spend(
        requests=1, policy_tokens=21, prompt_tokens=30, cached_tokens=12
    )


async def test_what_stays_broken_is_missing_in_the_end_and_the_others_survive(
    scripted: Any, caplog: pytest.LogCaptureFixture
) -> None:
    answers = [broken(1, "a\n\n", "12", "c", prompt_ids=[1, 2]) for _ in range(20)]
    policy = TokenPolicy(scripted(*answers), ask)
    for _ in range(2):
        children = await policy.extend(ROOT, 3, STEP)
        assert [child.path for child in children] == [(0,), (2,)]
        assert [child.token_ids for child in children] == [(b"1,2", b"97,10,10"), (b"1,2", b"99")]
    (said,) = caplog.messages
    assert "ended an answer with finish_reason 'abort'" in said


async def test_what_is_good_survives_a_server_that_goes_away_after_it(scripted: Any) -> None:
    gone = EndpointUnavailable("gone", url="")
    (child,) = await ChatPolicy(scripted(broken(1, "a", "?"), gone, gone), ask).extend(
        ROOT, 2, STEP
    )
    assert child.text == "a"


async def test_where_nothing_is_an_answer_the_providers_words_are_the_error(scripted: Any) -> None:
    answer = chat("12")
    answer["choices"][0] |= {"error": {"code": 502, "message": "Upstream overloaded"}}
    transport = scripted(answer, answer, answer)
    with pytest.raises(BadResponse, match="broke off an answer: Upstream overloaded"):
        await ChatPolicy(transport, ask).extend(ROOT, 1, WHOLE)
    assert len(transport.sent) == 3


async def test_what_the_server_would_do_again_is_not_asked_for_again(scripted: Any) -> None:
    answer = chat("", "")
    for choice in answer["choices"]:
        choice["message"] = {"content": None, "reasoning_content": "It is 12."}
    transport = scripted(answer)
    with pytest.raises(BadResponse, match="reasoning-parser"):
        await ChatPolicy(transport, ask).extend(ROOT, 2, WHOLE)
    assert len(transport.sent) == 1


async def test_what_a_reasoning_model_thinks_counts_and_its_content_answers(scripted: Any) -> None:
    answer = chat("It is 4.", "", completion_tokens=900)
    answer["choices"][0]["message"]["reasoning_content"] = "3? No."
    answer["choices"][1] |= {
        "message": {"content": None, "reasoning": "12 or"}, "finish_reason": "length",
    }  # fmt: skip
    children = await ChatPolicy(scripted(answer), ask).extend(ROOT, 2, WHOLE)
    assert [(child.steps, child.finish) for child in children] == [
        (("It is 4.",), "stop"), ((), "length"),
    ]  # fmt: skip
    assert sum(child.step_tokens for child in children) == 900


async def test_a_refusal_and_an_end_at_once_are_ends_of_their_own(scripted: Any) -> None:
    for sampling in (STEP, WHOLE):
        answer = chat("", "", completion_tokens=40)  # which the refusal took
        answer["choices"][0]["message"] = {"content": None, "refusal": "I cannot add 1 and 1."}
        children = await ChatPolicy(scripted(answer), ask).extend(ROOT, 2, sampling)
        assert [(child.text, child.finish) for child in children] == [
            ("", "refused"), ("", "empty"),
        ]  # fmt: skip


async def test_text_that_tokens_are_billed_for_and_that_is_not_there_is_no_answer(
    scripted_once: Any,
) -> None:
    for answer in (chat("", "", completion_tokens=400), chat("", "\n", completion_tokens=400)):
        with pytest.raises(BadResponse, match="bills 200 tokens for an answer without text"):
            await ChatPolicy(scripted_once(answer), ask).extend(ROOT, 2, WHOLE)
    beside = chat("", "a" * 20, prompt_ids=[1], completion_tokens=400)
    beside["choices"][0]["token_ids"] = list(range(50))
    (child,) = await TokenPolicy(scripted_once(beside), ask).extend(ROOT, 2, WHOLE)
    assert child.path == (1,)


async def test_an_end_at_once_beside_samples_that_have_text_is_empty(scripted: Any) -> None:
    answer = chat("", "It is 4.", completion_tokens=400)
    children = await ChatPolicy(scripted(answer), ask).extend(ROOT, 2, WHOLE)
    assert [child.finish for child in children] == ["empty", "stop"]
