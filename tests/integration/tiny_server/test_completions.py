"""Solutions from the tiny server: with the openai client, and with plain requests."""

import asyncio
from typing import Any

import httpx
import openai

from tests.integration.tiny_server.asking import KEY, MESSAGES, PROMPT, complete, error, post


def test_n_choices_of_every_prompt_are_distinct_and_repeat_with_the_seed(
    http: httpx.Client,
) -> None:
    first = complete(http, prompt=[PROMPT, "Step A"], n=3, return_token_ids=True)
    second = complete(http, prompt=[PROMPT, "Step A"], n=3, return_token_ids=True)
    assert [c["index"] for c in first["choices"]] == list(range(6))
    ids = [tuple(c["token_ids"]) for c in first["choices"]]
    assert len(set(ids)) == 6
    assert ids == [tuple(c["token_ids"]) for c in second["choices"]]
    prompts = [c["prompt_token_ids"] for c in first["choices"]]
    assert prompts[0] == prompts[2] != prompts[3] == prompts[5]
    usage = first["usage"]
    assert usage["prompt_tokens"] == len(prompts[0]) + len(prompts[3])
    assert usage["completion_tokens"] == sum(map(len, ids))
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_without_a_seed_two_requests_differ(http: httpx.Client) -> None:
    first, second = (complete(http, seed=None, max_tokens=30) for _ in range(2))
    assert first["choices"][0]["text"] != second["choices"][0]["text"]


def test_a_prompt_may_be_text_or_ids_or_a_list_of_either(http: httpx.Client) -> None:
    ids = post(http, "/tokenize", {"model": "policy", "prompt": PROMPT})["tokens"]
    texts = [
        complete(http, prompt=prompt)["choices"][0]["text"]
        for prompt in (PROMPT, ids, [PROMPT], [ids])
    ]
    assert len(set(texts)) == 1


def test_growing_a_path_by_token_ids_reads_the_prefix_cache(http: httpx.Client) -> None:
    step = complete(http, n=2, max_tokens=20, return_token_ids=True, seed=77)["choices"][1]
    path = step["prompt_token_ids"] + step["token_ids"]
    cached = complete(http, prompt=path)["usage"]["prompt_tokens_details"]["cached_tokens"]
    assert cached >= len(path) - 9


def test_stop_strings_and_tokens_say_what_stopped(http: httpx.Client) -> None:
    free = complete(http, max_tokens=40, return_token_ids=True)["choices"][0]
    assert (free["finish_reason"], free["stop_reason"]) == ("length", None)
    stop = free["text"][8:12]
    cut = complete(http, max_tokens=40, stop=[stop], return_token_ids=True)["choices"][0]
    kept = complete(
        http, max_tokens=40, stop=stop, include_stop_str_in_output=True, return_token_ids=True
    )["choices"][0]
    assert (cut["finish_reason"], cut["stop_reason"]) == ("stop", stop)
    assert cut["text"] == free["text"][: free["text"].index(stop)]
    assert kept["text"] == cut["text"] + stop
    assert cut["token_ids"] == kept["token_ids"] == free["token_ids"][: len(cut["token_ids"])]
    token = free["token_ids"][5]
    by_token = complete(http, max_tokens=40, stop_token_ids=[token])["choices"][0]
    assert (by_token["finish_reason"], by_token["stop_reason"]) == ("stop", token)


def test_max_tokens_beyond_the_context_is_cut_there(http: httpx.Client) -> None:
    answer = complete(http, prompt=[5] * 500, max_tokens=10_000, return_token_ids=True)
    choice = answer["choices"][0]
    assert (len(choice["token_ids"]), choice["finish_reason"]) == (12, "length")


def test_temperature_zero_repeats_without_a_seed(http: httpx.Client) -> None:
    texts = {complete(http, temperature=0, seed=None)["choices"][0]["text"] for _ in range(3)}
    assert len(texts) == 1


def test_logprobs_in_the_format_of_completions(http: httpx.Client) -> None:
    choice = complete(http, logprobs=2, temperature=0, max_tokens=5)["choices"][0]
    found = choice["logprobs"]
    assert "".join(found["tokens"]) == choice["text"]
    assert found["text_offset"][0] == 0
    for token, logprob, top in zip(
        found["tokens"], found["token_logprobs"], found["top_logprobs"], strict=True
    ):
        assert top[token] == logprob == max(top.values())


def test_prompt_logprobs_in_vllms_format(http: httpx.Client) -> None:
    answer = complete(http, prompt_logprobs=0, n=2, return_token_ids=True)
    for choice in answer["choices"]:
        first, *others = choice["prompt_logprobs"]
        ids = choice["prompt_token_ids"]
        assert first is None and len(others) == len(ids) - 1
        for token, told in zip(ids[1:], others, strict=True):
            assert told.keys() == {str(token)}
            assert told[str(token)].keys() == {"logprob", "rank", "decoded_token"}
    body = {"model": "policy", "messages": MESSAGES, "max_tokens": 1, "prompt_logprobs": 1}
    chat = post(http, "/v1/chat/completions", body)
    tokens = chat["prompt_logprobs"][1:]
    text = "".join(next(iter(each.values()))["decoded_token"] for each in tokens)
    assert MESSAGES[-1]["content"] in text
    assert complete(http)["choices"][0]["prompt_logprobs"] is None


def test_the_openai_client_chats(sdk: openai.OpenAI) -> None:
    chat: Any = sdk.chat.completions
    answer = chat.create(
        model="policy", messages=MESSAGES, n=2, seed=3, max_completion_tokens=6,
        logprobs=True, top_logprobs=2, extra_body={"return_token_ids": True},
    )  # fmt: skip
    assert len({choice.message.content for choice in answer.choices}) == 2
    assert answer.choices[0].message.role == "assistant"
    assert len(answer.choices[0].logprobs.content) == 6
    assert len(answer.choices[0].logprobs.content[0].top_logprobs) == 2
    assert len(answer.choices[0].token_ids) == 6
    assert len(answer.prompt_token_ids) == answer.usage.prompt_tokens


def test_a_partial_answer_is_continued(http: httpx.Client) -> None:
    messages = [*MESSAGES, {"role": "assistant", "content": "Step A + 76: 10"}]
    flags = {"continue_final_message": True, "add_generation_prompt": False}
    body = {"model": "policy", "messages": messages, "max_tokens": 3, "return_token_ids": True}
    answer = post(http, "/v1/chat/completions", {**body, **flags})
    tokens = post(http, "/tokenize", {"model": "policy", "messages": messages, **flags})["tokens"]
    assert answer["prompt_token_ids"] == tokens
    plain = f"{PROMPT}<|im_start|>assistant\nStep A + 76: 10"
    assert tokens == post(http, "/tokenize", {"model": "policy", "prompt": plain})["tokens"]
    error(http, "/v1/chat/completions", {**body, "continue_final_message": True}, 400)


def test_streams_add_up_to_the_answer(sdk: openai.OpenAI, http: httpx.Client) -> None:
    whole = complete(http, n=2, stop=["q"], max_tokens=40)["choices"]
    texts, reasons = ["", ""], ["", ""]
    for chunk in sdk.completions.create(
        model="policy", prompt=PROMPT, n=2, seed=1, stop=["q"], max_tokens=40, stream=True
    ):
        for choice in chunk.choices:
            texts[choice.index] += choice.text
            reasons[choice.index] = choice.finish_reason or reasons[choice.index]
    assert texts == [choice["text"] for choice in whole]
    assert reasons == [choice["finish_reason"] for choice in whole]
    chat: Any = sdk.chat.completions
    pieces = chat.create(
        model="policy", messages=MESSAGES, max_tokens=5, stream=True,
        stream_options={"include_usage": True},
    )  # fmt: skip
    chunks = list(pieces)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 5


def test_two_policies_in_one_process_answer_for_themselves(http: httpx.Client) -> None:
    small, large = (complete(http, model=m)["choices"][0]["text"] for m in ("policy", "large"))
    assert small != large


async def test_a_request_among_64_others_gets_what_it_gets_alone(url: str) -> None:
    client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0, timeout=120)

    async def ask(seed: int) -> str:
        answer = await client.completions.create(
            model="policy", prompt=f"{PROMPT}{seed % 5}", seed=seed, max_tokens=20 + seed % 30
        )
        return answer.choices[0].text

    alone = [await ask(seed) for seed in range(10)]
    crowd = await asyncio.gather(*(ask(seed) for seed in range(65)))
    assert alone == crowd[:10]
