"""Scores of steps from the tiny server, by each of its routes."""

import math

import httpx
import pytest

from tests.integration.tiny_server.asking import MESSAGES, complete, post


def test_pooling_scores_every_step_of_every_input(http: httpx.Client) -> None:
    inputs = ["Step A<extra_0>\n\nStep B<extra_0>", "no tag"]
    answer = post(http, "/pooling", {"model": "qwen", "input": inputs})
    assert answer["object"] == "list"
    assert [d["index"] for d in answer["data"]] == [0, 1]
    pairs = answer["data"][0]["data"]
    assert len(pairs) == 2
    assert all(abs(sum(pair) - 1) < 1e-5 for pair in pairs)
    assert answer["data"][1]["data"] == []
    messages = [*MESSAGES, {"role": "assistant", "content": inputs[0]}]
    by_chat = post(http, "/pooling", {"model": "qwen", "messages": messages})
    assert len(by_chat["data"][0]["data"]) == 2


def test_pooling_and_generative_scoring_agree_on_a_shepherd(http: httpx.Client) -> None:
    path = "Step A + 76: 10 + 76 = 86 ки"
    (pair,) = post(http, "/pooling", {"model": "shepherd", "input": path})["data"][0]["data"]
    tokenize = {"model": "shepherd"}
    ids = post(http, "/tokenize", {**tokenize, "prompt": path})["tokens"]
    labels = [post(http, "/tokenize", {**tokenize, "prompt": s})["tokens"][0] for s in "+-"]
    body = {"model": "shepherd", "query": [], "items": [ids, ids[:3]], "label_token_ids": labels}
    scores = post(http, "/generative_scoring", body)["data"]
    assert scores[0]["score"] == pytest.approx(pair[0], abs=1e-6)
    split = {**body, "query": ids[:4], "items": [ids[4:]], "apply_softmax": False}
    whole_vocabulary = post(http, "/generative_scoring", split)["data"][0]["score"]
    assert 0 < whole_vocabulary < pair[0]


def test_the_next_token_tells_a_shepherds_verdict_on_the_step_before_it(
    http: httpx.Client,
) -> None:
    first = "Step A + 76: 10 + 76 = 86 ки"
    path = f"{first}\nStep B * 3: 86 * 3 = 58 ки"
    pairs = post(http, "/pooling", {"model": "shepherd", "input": path})["data"][0]["data"]
    plus, minus = (
        post(http, "/tokenize", {"model": "shepherd", "prompt": label})["tokens"][0]
        for label in "+-"
    )
    labels = {"logprob_token_ids": [plus, minus], "return_tokens_as_token_ids": True}
    body = {"model": "shepherd", "prompt": [first, path], "max_tokens": 1, "logprobs": 2}
    answer = complete(http, **body, **labels, temperature=0)
    for choice, pair in zip(answer["choices"], pairs, strict=True):
        (top,) = choice["logprobs"]["top_logprobs"]
        sampled = choice["logprobs"]["tokens"][0]
        assert top.keys() == {sampled, f"token_id:{plus}", f"token_id:{minus}"}
        odds = [math.exp(top[f"token_id:{label}"]) for label in (plus, minus)]
        assert odds[0] / sum(odds) == pytest.approx(pair[0], abs=1e-6)
    again = post(http, "/pooling", {"model": "shepherd", "input": path})["data"][0]["data"]
    assert again == pairs


def test_a_longer_path_of_a_shepherd_reads_the_prefix_cache(http: httpx.Client) -> None:
    path = "Start with 11. Then A + 4. Step A + 4: 11 + 4 = 15 ки"
    body = {"model": "shepherd", "max_tokens": 1, "logprobs": 1, "logprob_token_ids": [5]}
    before = complete(http, **body, prompt=path)["usage"]
    after = complete(http, **body, prompt=f"{path}\nStep B + 1: 15 + 1 = 16 ки")["usage"]
    cached = after["prompt_tokens_details"]["cached_tokens"]
    assert before["prompt_tokens"] - 8 < cached <= before["prompt_tokens"]
