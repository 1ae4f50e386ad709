"""What a choice comes to, by all that servers and clouds are known to send."""

from typing import Any

import msgspec
import pytest

from orchestrator.endpoints.http.ends import NoAnswer, Said, end_of, no_answer, read_choice
from orchestrator.endpoints.http.wire import ChatChoice, CompletionChoice

TEXT = "So it is 12."


def choice(content: Any = TEXT, reason: Any = "stop", **more: Any) -> ChatChoice:
    """As it comes; what is no field of a choice is one of its message."""
    own = {key: more.pop(key) for key in ("error", "stop_reason", "matched_stop") if key in more}
    message = {"role": "assistant", "content": content, **more}
    return msgspec.convert(
        {"index": 0, "message": message, "finish_reason": reason, **own}, ChatChoice
    )


def lost(found: Said | NoAnswer) -> NoAnswer:
    assert isinstance(found, NoAnswer), found
    return found


@pytest.mark.parametrize(
    ("reason", "end"),
    [
        *[(each, "stop") for each in (
            "stop", "STOP", "eos", "eos_token", "stop_sequence", "end_turn", "COMPLETE",
            "FinishReason.STOP", "eosFound", "stop-sequence", "REASON_STOP", "finish_reason_stop",
        )],
        *[(each, "length") for each in (
            "length", "LENGTH", "max_tokens", "MAX_TOKENS", "model_length",
            "max_output_tokens", "model_context_window_exceeded", "maxPredictedTokensReached",
            "REASON_MAX_LEN", "FinishReason.MAX_TOKENS",
        )],
        *[(each, "filtered") for each in (
            "content_filter", "content-filter", "SAFETY", "RECITATION", "PROHIBITED_CONTENT",
            "BLOCKLIST", "SPII", "guardrail_intervened", "content_filter: OTHER", "sensitive",
        )],
        ("refusal", "refused"),
    ],
)  # fmt: skip
def test_known_ends_are_known_in_every_spelling(reason: str, end: str) -> None:
    assert end_of(reason) == end


@pytest.mark.parametrize(
    "reason",
    [
        None, "", "abort", "aborted", "error", "ERROR", "insufficient_system_resource", "OTHER",
        "FINISH_REASON_UNSPECIFIED", "network_error", "timeout", "cancelled", "load", "unload",
        "MALFORMED_FUNCTION_CALL", "pause_turn", "repetition", "stopped_tomorrow", "null", 0, True,
        {"type": "stop"}, ["stop"],
    ],
)  # fmt: skip
def test_everything_else_is_no_answer_whatever_text_came_with_it(reason: Any) -> None:
    assert end_of(reason) is None
    for found in (
        read_choice(choice(TEXT, reason)),
        read_choice(choice(TEXT, reason), step_ends="\n\n"),
        read_choice(CompletionChoice(index=0, text=TEXT, finish_reason=reason)),
    ):
        assert lost(found).may_pass


def test_the_reason_is_quoted_and_a_missing_one_is_named() -> None:
    assert "finish_reason 'abort'" in lost(read_choice(choice(TEXT, "abort"))).why
    assert "finish_reason is null" in lost(read_choice(choice(TEXT, None))).why


@pytest.mark.parametrize("reason", ["stop", "error", "length", None])
def test_an_error_inside_a_choice_is_said_in_the_providers_words(reason: Any) -> None:
    error = {"code": 502, "message": "Upstream overloaded,\n try later"}
    found = lost(read_choice(choice(TEXT, reason, error=error)))
    assert found.why == "broke off an answer: Upstream overloaded, try later"
    assert "502" in lost(read_choice(choice("", reason, error={"code": 502}))).why
    assert "down" in lost(read_choice(choice("", reason, error="down"))).why
    bare = msgspec.convert({"index": 0, "error": error}, ChatChoice)
    assert "overloaded" in lost(read_choice(bare)).why


@pytest.mark.parametrize("reason", ["length", "content_filter", "MAX_TOKENS"])
def test_a_text_that_was_cut_keeps_its_end(reason: str) -> None:
    assert read_choice(choice(TEXT, reason)) == Said(TEXT, end_of(reason) or "stop")


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
def test_the_answer_of_a_reasoning_model_is_its_content(field: str) -> None:
    assert read_choice(choice(TEXT, **{field: "Is it 3?"}), tokens=900) == Said(TEXT, "stop")


@pytest.mark.parametrize("content", [None, "", "\n\n", []])
@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
def test_a_thought_that_used_up_all_tokens_is_cut_and_says_nothing(
    content: Any, field: str
) -> None:
    found = read_choice(choice(content, "length", **{field: "It may be 3"}), tokens=900)
    assert isinstance(found, Said) and (found.text.strip(), found.end) == ("", "length")


@pytest.mark.parametrize("step_ends", [None, "\n\n"])
@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
def test_everything_in_the_reasoning_field_is_no_answer_and_says_what_to_set(
    field: str, step_ends: str | None
) -> None:
    for stop in (None, "\n\n"):  # a step that ended so is not a blank one
        found = read_choice(choice(None, stop_reason=stop, **{field: TEXT}), step_ends=step_ends)
        assert "--reasoning-parser" in lost(found).why and not lost(found).may_pass


@pytest.mark.parametrize("reason", ["tool_calls", "stop", "function_call", "tool_use"])
def test_a_tool_call_instead_of_text_is_no_answer_and_is_named(reason: str) -> None:
    calls = [{"id": "1", "type": "function", "function": {"name": "calc", "arguments": "{}"}}]
    found = lost(read_choice(choice(None, reason, tool_calls=calls)))
    assert "calc" in found.why and "tool_choice" in found.why and not found.may_pass
    old = lost(read_choice(choice("", reason, function_call={"name": "calc"})))
    assert "calc" in old.why


def test_a_text_beside_a_tool_call_is_the_answer_where_it_came_to_its_end() -> None:
    calls = [{"function": {"name": "calc"}}]
    assert read_choice(choice(TEXT, "stop", tool_calls=calls)) == Said(TEXT, "stop")
    assert read_choice(choice(TEXT, "stop", tool_calls=[])) == Said(TEXT, "stop")
    lost(read_choice(choice(TEXT, "tool_calls", tool_calls=calls)))


def test_a_refusal_is_one_and_its_words_are_no_answer() -> None:
    assert read_choice(choice(None, refusal="I cannot help with 12.")) == Said("", "refused")
    assert read_choice(choice("I can", "refusal")) == Said("", "refused")
    parts = [{"type": "refusal", "refusal": "I cannot."}]
    assert read_choice(choice(parts)) == Said("", "refused")
    assert read_choice(choice(TEXT, refusal="")) == Said(TEXT, "stop")


@pytest.mark.parametrize("step_ends", [None, "\n\n"])
def test_an_end_at_once_is_empty_but_not_where_tokens_are_billed(step_ends: str | None) -> None:
    for tokens in (None, 0, 1, 3):
        assert read_choice(choice(""), step_ends=step_ends, tokens=tokens) == Said("", "empty")
    found = lost(read_choice(choice(""), step_ends=step_ends, tokens=400))
    assert "400 tokens" in found.why and "chat template" in found.why and found.may_pass


def test_a_bare_separator_is_a_step() -> None:
    assert read_choice(choice("\n\n"), step_ends="\n\n") == Said("\n\n", "stop")
    named = choice("", stop_reason="\n\n")
    assert read_choice(named, step_ends="\n\n", tokens=1) == Said("\n\n", "stop")
    assert "60 tokens" in lost(read_choice(named, step_ends="\n\n", tokens=60)).why


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([{"type": "text", "text": "So "}, {"type": "text", "text": "it is 12."}], TEXT),
        (["So ", "it is 12."], TEXT),
        ([{"type": "output_text", "text": TEXT}], TEXT),
        ([{"text": TEXT}], TEXT),
        (
            [
                {"type": "thinking", "thinking": [{"type": "text", "text": "Is it 3?"}]},
                {"type": "text", "text": TEXT},
            ],
            TEXT,
        ),
    ],
)
def test_a_list_of_content_parts_is_text(content: Any, text: str) -> None:
    assert read_choice(choice(content)) == Said(text, "stop")


def test_a_whole_solution_comes_without_its_thought_and_a_step_as_it_is() -> None:
    thought = f"<think>Is it 3?\n\nNo.</think>\n\n{TEXT}"
    assert read_choice(choice(thought)) == Said(TEXT, "stop")
    assert read_choice(choice(thought), step_ends="\n\n") == Said(thought, "stop")
    assert read_choice(choice("<think>Is it 3", "length")) == Said("", "length")


@pytest.mark.parametrize("text", ["<think>It is 12.", "<think>It is 12.</think>\n"])
def test_a_thought_that_no_answer_follows_is_no_answer(text: str) -> None:
    assert "said nothing" in lost(read_choice(choice(text))).why


def test_of_several_the_error_is_one_that_may_pass() -> None:
    stays, passes = NoAnswer("called a tool", may_pass=False), NoAnswer("broke off")
    assert no_answer([stays], "http://host").is_final
    error = no_answer([stays, passes], "http://host")
    assert (str(error), error.is_final) == ("http://host broke off", False)


@pytest.mark.parametrize(("tokens", "is_answer"), [(None, True), (0, True), (8, True), (9, False)])
def test_eight_tokens_may_be_billed_for_an_end_without_a_word(
    tokens: int | None, is_answer: bool
) -> None:
    found = read_choice(choice(""), tokens=tokens)
    if is_answer:
        assert found == Said("", "empty")
    else:
        assert "bills 9 tokens for an answer without text" in lost(found).why
        assert lost(found).may_pass


def test_a_step_that_is_blank_ends_as_a_step_where_its_separator_was_met() -> None:
    for met in ({"stop_reason": "\n\n"}, {"matched_stop": "\n\n"}):
        assert read_choice(choice("", **met), step_ends="\n\n") == Said("\n\n", "stop")
    assert read_choice(choice("\n\n"), step_ends="\n\n") == Said("\n\n", "stop")
    assert read_choice(choice("", stop_reason="END"), step_ends="\n\n") == Said("", "empty")
    assert read_choice(choice(""), step_ends="\n\n") == Said("", "empty")


def test_what_ended_a_step_is_put_back_once() -> None:
    for text in (TEXT, f"{TEXT}\n\n"):
        found = read_choice(choice(text, stop_reason="\n\n"), step_ends="\n\n")
        assert found == Said(f"{TEXT}\n\n", "stop")
    assert read_choice(choice(TEXT, stop_reason="END"), step_ends="\n\n") == Said(TEXT, "stop")
    completion = CompletionChoice(index=0, text=TEXT, finish_reason="stop", stop_reason="\n\n")
    assert read_choice(completion, step_ends="\n\n") == Said(f"{TEXT}\n\n", "stop")


def test_words_of_refusal_are_one_where_the_answer_ended_or_says_nothing_else() -> None:
    assert read_choice(choice(None, "stop", refusal="I cannot.")) == Said("", "refused")
    assert read_choice(choice(TEXT, "stop", refusal="I cannot.")) == Said("", "refused")
    assert read_choice(choice(None, None, refusal="I cannot.")) == Said("", "refused")
    assert lost(read_choice(choice(TEXT, None, refusal="I cannot."))).may_pass


def test_a_tool_that_is_called_beside_an_answer_does_not_matter() -> None:
    calls = [{"function": {"name": "calc"}}]
    assert read_choice(choice(TEXT, "stop", tool_calls=calls)) == Said(TEXT, "stop")
    assert "called a tool (?)" in lost(read_choice(choice(None, tool_calls=["odd"]))).why
    assert "called a tool (unnamed)" in lost(read_choice(choice(None, "tool_calls"))).why


def test_what_a_server_says_is_quoted_in_part() -> None:
    assert lost(read_choice(choice(TEXT, "x" * 99))).why.count("x") == 60
    assert lost(read_choice(choice(TEXT, error="x" * 999))).why.count("x") == 300


def test_of_several_reasons_one_that_may_pass_comes_first() -> None:
    for_good, passing = NoAnswer("sleeps", may_pass=False), NoAnswer("dozes")
    error = no_answer([for_good, passing], "http://h")
    assert (str(error), error.is_final) == ("http://h dozes", False)
    error = no_answer([for_good], "http://h")
    assert (str(error), error.is_final) == ("http://h sleeps", True)
