"""Whether a model says anything, and how long it thinks before."""

from typing import Any

import msgspec
import pytest

from orchestrator.endpoints.http.wire import ChatResponse
from orchestrator.endpoints.probing.listening import hides_steps, tokens_to_answer
from orchestrator.errors import BadResponse, EndpointUnavailable


def answer(content: str | None, finish: str, tokens: int = 0, **message: Any) -> dict[str, Any]:
    choice = {
        "index": 0, "message": {"content": content, **message}, "finish_reason": finish,
    }  # fmt: skip
    return {"model": "m", "choices": [choice], "usage": {"completion_tokens": tokens}}


def first(*answers: dict[str, Any]) -> ChatResponse:
    choices = [each["choices"][0] for each in answers]
    usage = {"completion_tokens": sum(each["usage"]["completion_tokens"] for each in answers)}
    return msgspec.convert({"model": "m", "choices": choices, "usage": usage}, ChatResponse)


CUT = answer(None, "length", 24, reasoning="Hm")
BLANK = answer("", "stop", 2)


async def test_a_model_that_says_something_at_once_is_not_asked(scripted: Any) -> None:
    assert await tokens_to_answer(scripted(), first(answer("one", "stop", 3))) is None
    assert await tokens_to_answer(scripted(), first(CUT, answer("one", "length", 24))) is None


@pytest.mark.parametrize(
    ("allowed", "most"), [(0, 2_048), (2_048, 2_048), (4_000, 4_000), (9_000, 8_192)]
)
async def test_a_thought_may_take_as_long_as_a_run_allows_within_bounds(
    scripted: Any, allowed: int, most: int
) -> None:
    transport = scripted(answer(None, "length", most, reasoning="Hm"))
    assert await tokens_to_answer(transport, first(CUT), allowed) == most
    assert transport.sent[0].body["max_tokens"] == most


async def test_left_alone_it_is_allowed_the_least(scripted: Any) -> None:
    transport = scripted(answer("42", "stop", 300))
    assert await tokens_to_answer(transport, first(CUT)) == 300
    assert transport.sent[0].body["max_tokens"] == 2_048


@pytest.mark.parametrize(("taken", "told"), [(300, 300), (25, 25), (24, 25), (3, 25)])
async def test_where_a_few_tokens_were_all_thought_it_takes_more_than_those(
    scripted: Any, taken: int, told: int
) -> None:
    assert await tokens_to_answer(scripted(answer("42", "stop", taken)), first(CUT)) == told


async def test_a_model_that_was_not_cut_and_then_answers_needs_no_thought(scripted: Any) -> None:
    assert await tokens_to_answer(scripted(answer("42", "stop", 300)), first(BLANK)) is None


async def test_one_that_takes_too_long_is_taken_to_think_for_the_least(scripted_once: Any) -> None:
    slow = EndpointUnavailable("slow", url="", timed_out=True)
    assert await tokens_to_answer(scripted_once(slow), first(CUT), 9_000) == 2_048
    with pytest.raises(EndpointUnavailable, match="gone"):
        await tokens_to_answer(
            scripted_once(EndpointUnavailable("gone", url="")), first(CUT), 9_000
        )


@pytest.mark.parametrize(
    ("silence", "said"),
    [
        (answer("", "stop", 3), "ends its answers without a word"),
        (answer(None, "stop", refusal="I cannot."), "declines to answer a sum: I cannot."),
        (answer(None, "stop", 300, reasoning="42"), "--reasoning-parser"),
    ],
)
async def test_a_model_that_says_nothing_at_all_is_told_with_what_to_do(
    scripted: Any, silence: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadResponse, match=said):
        await tokens_to_answer(scripted(silence), first(CUT))


@pytest.mark.parametrize(
    ("step", "hides"),
    [
        (answer("One.\n\n", "stop"), False),
        (answer("", "stop"), True),
        (answer(None, "stop", reasoning="One."), True),
    ],
)
async def test_a_step_of_a_thought_may_be_no_text(
    scripted: Any, step: dict[str, Any], hides: bool
) -> None:
    transport = scripted(step)
    assert await hides_steps(transport, "\n\n") is hides
    assert (transport.sent[0].body["max_tokens"], transport.sent[0].body["stop"]) == (
        512, ["\n\n"],
    )  # fmt: skip
