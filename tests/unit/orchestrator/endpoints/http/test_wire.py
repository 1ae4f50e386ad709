import json

import msgspec
import pytest

from orchestrator.endpoints.http.wire import (
    ChatRequest,
    ChatResponse,
    CompletionRequest,
    CompletionResponse,
    PoolingResponse,
    TokenDetails,
    Usage,
    encode,
    token_count,
    token_list,
    token_part,
)


def test_a_request_says_only_what_differs_from_the_apis_defaults() -> None:
    request = CompletionRequest(
        model="m", prompt=token_list([b"1", b"", b"2"]), n=4, temperature=0.7, seed=5
    )
    assert json.loads(encode(request)) == {
        "model": "m", "prompt": [1, 2], "n": 4, "temperature": 0.7, "seed": 5,
    }  # fmt: skip


def test_a_greedy_temperature_is_said() -> None:
    assert b'"temperature":0.0' in encode(ChatRequest(model="m", messages=[], temperature=0.0))


def test_all_the_room_there_is_is_null_to_completions_and_left_out_to_chat() -> None:
    completion = CompletionRequest(model="m", prompt="", max_tokens=None)
    assert json.loads(encode(completion))["max_tokens"] is None
    assert b"max_tokens" not in encode(ChatRequest(model="m", messages=[], max_tokens=None))


def test_an_answer_of_vllm_is_read_with_its_token_ids_and_cache() -> None:
    answer = {
        "id": "x", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{
            "index": 0, "message": {"role": "assistant", "content": "hi", "tool_calls": []},
            "finish_reason": "stop", "stop_reason": "\n\n", "token_ids": [7, 8], "logprobs": None,
        }],
        "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11,
                  "prompt_tokens_details": {"cached_tokens": 4}},
        "prompt_token_ids": [1, 2, 3],
    }  # fmt: skip
    read = msgspec.json.decode(json.dumps(answer), type=ChatResponse)
    assert (read.choices[0].message.content, token_part(read.choices[0].token_ids)) == (
        "hi",
        b"7,8",
    )
    assert (token_part(read.prompt_token_ids), read.usage.cached_tokens) == (b"1,2,3", 4)


@pytest.mark.parametrize("details", [None, {}, {"cached_tokens": None}])
def test_a_server_need_not_tell_of_its_cache_nor_of_its_usage(details: object) -> None:
    choice = {"index": 0, "text": "a", "stop_reason": 128009}
    answer = {"model": "m", "choices": [choice], "usage": {"prompt_tokens_details": details}}
    read = msgspec.json.decode(json.dumps(answer), type=CompletionResponse)
    assert read.usage.cached_tokens == 0
    del answer["usage"]
    assert msgspec.json.decode(json.dumps(answer), type=CompletionResponse).usage.prompt_tokens == 0


@pytest.mark.parametrize(
    "answer",
    ["{}", '{"model": "m"}', '{"model": "m", "data": [{"index": 0}]}', "[]", "null", '"ok"',
     '{"model": "m", "data": [{"index": 0, "data": [[NaN, 1]]}]}',
     '{"model": "m", "data": [{"index": 0, "data": "base64"}]}'],
)  # fmt: skip
def test_an_answer_without_what_was_asked_for_fails_where_it_is_read(answer: str) -> None:
    with pytest.raises(msgspec.MsgspecError):
        msgspec.json.decode(answer, type=PoolingResponse)


@pytest.mark.parametrize(
    ("listed", "part", "count"),
    [(b"[7, 8]", b"7,8", 2), (b"[\n 5\n]", b"5", 1), (b"[]", b"", 0)],
)
def test_token_ids_are_kept_as_they_stand(listed: bytes, part: bytes, count: int) -> None:
    assert token_part(msgspec.Raw(listed)) == part
    assert token_count(part) == count


@pytest.mark.parametrize("listed", [b"", b"null"])
def test_token_ids_left_out_are_none(listed: bytes) -> None:
    assert token_part(msgspec.Raw(listed)) is None


@pytest.mark.parametrize("listed", [b'["a"]', b"7", b"{}", b"[[1]]", b"[1.5]", b'"[1]"'])
def test_what_is_no_list_of_token_ids_is_said(listed: bytes) -> None:
    with pytest.raises(ValueError, match="no list of numbers"):
        token_part(msgspec.Raw(listed))


@pytest.mark.parametrize(
    ("total", "written"),
    [(170, 60), (210, 100), (0, 60)],
    ids=["thoughts among the completion", "beside it", "no total"],
)
def test_what_a_model_thought_is_written_once(total: int, written: int) -> None:
    usage = Usage(
        prompt_tokens=110,
        completion_tokens=60,
        total_tokens=total,
        completion_tokens_details=TokenDetails(reasoning_tokens=40),
    )
    assert usage.written_tokens == written


@pytest.mark.parametrize("listed", [b"[-1]", b"[x7]", b"[7x]", b"[7", b"7]"])
def test_a_list_of_token_ids_holds_digits_and_commas_from_end_to_end(listed: bytes) -> None:
    with pytest.raises(ValueError, match="no list of numbers"):
        token_part(msgspec.Raw(listed))


def test_parts_of_a_conversation_are_joined_and_empty_ones_passed_over() -> None:
    assert bytes(token_list([b"1,2", b"", b"3"])) == b"[1,2,3]"
    assert token_count(b"1,2,3") == 3


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": -1, "completion_tokens": -1, "total_tokens": -1}, (0, 0, 0)),
        ({"prompt_tokens": None, "completion_tokens": None, "total_tokens": None}, (0, 0, 0)),
        ({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}, (3, 4, 7)),
        ({}, (0, 0, 0)),
    ],
)
def test_counts_are_never_negative_nor_missing(
    usage: dict[str, int | None], expected: tuple[int, int, int]
) -> None:
    read = msgspec.json.decode(json.dumps(usage), type=Usage)
    assert (read.prompt_tokens, read.completion_tokens, read.total_tokens) == expected


@pytest.mark.parametrize(
    ("cached", "expected"), [(4, 4), (9, 9), (10, 9), (-1, 0), (None, 0), (0, 0)]
)
def test_no_more_is_cached_than_there_is(cached: int | None, expected: int) -> None:
    usage = Usage(prompt_tokens=9, prompt_tokens_details=TokenDetails(cached_tokens=cached))
    assert usage.cached_tokens == expected


@pytest.mark.parametrize("thought", [None, 0, -5])
def test_where_no_thought_is_told_the_completion_is_all_that_was_written(
    thought: int | None,
) -> None:
    details = TokenDetails(reasoning_tokens=thought)
    for total in (0, 12, 17):
        usage = Usage(
            prompt_tokens=7, completion_tokens=5, total_tokens=total,
            completion_tokens_details=details,
        )  # fmt: skip
        assert usage.written_tokens == 5
