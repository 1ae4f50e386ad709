"""The tiny server over real HTTP: with the openai client, and with plain requests."""

import asyncio
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from servers.tiny.launch import Spec, TinyServerError, serve
from servers.tiny.random_weights import write_random_model

KEY = "orchard-key"
PROMPT = "<|im_start|>user\nStart with 10. Then A + 76. What is the result?<|im_end|>\n"
MESSAGES = [{"role": "user", "content": "Start with 10. Then A + 76. What is the result?"}]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {
        "policy": write_random_model(root / "policy", "policy"),
        "large": write_random_model(root / "large", "policy", seed=1, hidden=128, layers=3),
        "qwen": write_random_model(root / "qwen", "qwen-prm"),
        "shepherd": write_random_model(root / "shepherd", "shepherd-prm"),
    }


@pytest.fixture(scope="module")
def url(folders: dict[str, Path]) -> Iterator[str]:
    with serve(Spec(models=folders, api_key=KEY)) as (server,):
        yield server.url


@pytest.fixture
def http(url: str) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {KEY}"}
    with httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture
def sdk(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0)


def post(http: httpx.Client, path: str, body: dict[str, Any], status: int = 200) -> Any:
    response = http.post(path, json=body)
    assert response.status_code == status, response.text
    return response.json()


def complete(http: httpx.Client, **body: Any) -> Any:
    defaults = {"model": "policy", "prompt": PROMPT, "max_tokens": 12, "seed": 1}
    return post(http, "/v1/completions", {**defaults, **body})


def error(http: httpx.Client, path: str, body: dict[str, Any], status: int) -> dict[str, Any]:
    found = post(http, path, body, status)["error"]
    assert found.keys() == {"message", "type", "param", "code"}
    assert found["code"] == status
    return dict(found)


# Listing, health and metrics


def test_models_are_listed_with_their_context(sdk: openai.OpenAI, http: httpx.Client) -> None:
    names = [model.id for model in sdk.models.list()]
    assert names == ["policy", "large", "qwen", "shepherd"]
    assert http.get("/v1/models").json()["data"][0]["max_model_len"] == 512


def test_health_and_metrics_answer_without_a_key(url: str) -> None:
    assert httpx.get(f"{url}/health", trust_env=False).status_code == 200
    text = httpx.get(f"{url}/metrics", trust_env=False).text
    for name in (
        "num_requests_running", "num_requests_waiting", "kv_cache_usage_perc",
        "prefix_cache_queries_total", "prefix_cache_hits_total", "prompt_tokens_total",
        "generation_tokens_total", "num_preemptions_total", "e2e_request_latency_seconds_count",
    ):  # fmt: skip
        assert re.search(rf'^vllm:{name}{{.*model_name="policy".*}} \d', text, re.MULTILINE), name


def test_a_wrong_key_is_a_401_on_v1_only(url: str) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": KEY}):
        response = httpx.get(f"{url}/v1/models", headers=headers, trust_env=False)
        assert (response.status_code, response.json()) == (401, {"error": "Unauthorized"})
    body = {"model": "policy", "prompt": "hi"}
    assert httpx.post(f"{url}/tokenize", json=body, trust_env=False).status_code == 200
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=f"{url}/v1", api_key="wrong", max_retries=0).models.list()


# Generating


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


# Scoring


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


# Errors


def test_a_model_of_another_name_is_a_404(sdk: openai.OpenAI, http: httpx.Client) -> None:
    for path in ("/v1/completions", "/v1/chat/completions", "/pooling", "/tokenize"):
        body = {"model": "nope", "prompt": "x", "input": "x", "messages": MESSAGES}
        found = error(http, path, body, 404)
        assert found["type"] == "NotFoundError"
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        sdk.completions.create(model="nope", prompt="x")
    assert error(http, "/v1/nonsense", {}, 404)["type"] == "Not Found"


def test_too_long_a_prompt_says_so(sdk: openai.OpenAI, http: httpx.Client) -> None:
    with pytest.raises(openai.BadRequestError, match="maximum context length is 512 tokens"):
        sdk.completions.create(model="policy", prompt=[5] * 512)
    long = {"model": "qwen", "input": [5] * 513}
    assert "maximum context length" in error(http, "/pooling", long, 400)["message"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"prompt": ""}, {"prompt": []}, {"prompt": ["a", 3]}, {"prompt": [100_000]},
        {"prompt": [-1]}, {"prompt": {"a": 1}}, {"prompt": [[]]}, {"n": 0}, {"n": "two"},
        {"temperature": -1}, {"temperature": 0, "n": 2}, {"top_p": 0}, {"top_p": 1.5},
        {"max_tokens": 0}, {"stop": ""}, {"stop": [3]}, {"logprobs": 1000}, {"seed": 2**70},
        {"echo": True}, {"logprob_token_ids": [5]}, {"logprob_token_ids": [-1], "logprobs": 1},
        {"logprob_token_ids": [100_000], "logprobs": 1},
        {"logprob_token_ids": [5] * 129, "logprobs": 1},
    ],
)  # fmt: skip
def test_wrong_fields_are_a_400(http: httpx.Client, wrong: dict[str, Any]) -> None:
    error(http, "/v1/completions", {"model": "policy", "prompt": "x", **wrong}, 400)


def test_malformed_json_is_a_400(http: httpx.Client) -> None:
    for content in (b"{", b"", b"[]", b"\xff"):
        response = http.post("/v1/completions", content=content)
        assert response.status_code == 400
        assert response.json()["error"]["code"] == 400


def test_each_model_refuses_the_other_kinds_work(http: httpx.Client) -> None:
    error(http, "/pooling", {"model": "policy", "input": "x"}, 400)
    error(http, "/v1/completions", {"model": "qwen", "prompt": "x"}, 400)
    scoring = {"model": "qwen", "query": "x", "items": ["y"], "label_token_ids": [1]}
    error(http, "/generative_scoring", scoring, 400)
    error(http, "/generative_scoring", {**scoring, "model": "policy", "items": []}, 400)


def test_unknown_fields_are_ignored(http: httpx.Client) -> None:
    complete(http, priority=3, cache_salt="salt", invented={"a": [1]})


# Load


def running(url: str) -> int:
    text = httpx.get(f"{url}/metrics", trust_env=False).text
    return sum(int(n) for n in re.findall(r"vllm:num_requests_running{.*} (\d+)", text))


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


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


@pytest.mark.parametrize("stream", [False, True])
async def test_closing_the_connection_frees_the_place(url: str, stream: bool) -> None:
    body = {"model": "policy", "prompt": PROMPT, "n": 200, "max_tokens": 450, "ignore_eos": True}
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        request = client.post(
            f"{url}/v1/completions", json={**body, "stream": stream}, headers=headers
        )
        task = asyncio.create_task(request)
        await asyncio.to_thread(wait_until, lambda: running(url) == 200, 5.0)
        task.cancel()
        await asyncio.to_thread(wait_until, lambda: running(url) == 0, 1.0)


# The process


def test_a_failing_start_shows_the_log(tmp_path: Path) -> None:
    with (
        pytest.raises(TinyServerError, match=r"(?s)ended with code 1.*not a model folder"),
        serve(Spec(models={"x": tmp_path})),
    ):
        pass


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_within_seconds(
    folders: dict[str, Path], number: signal.Signals
) -> None:
    with serve(Spec(models={"policy": folders["policy"]})) as (server,):
        server.process.send_signal(number)
        assert server.process.wait(timeout=3) == 0


def test_servers_end_with_a_parent_that_is_killed(folders: dict[str, Path]) -> None:
    script = (
        "import sys, time; from pathlib import Path\n"
        "from servers.tiny.launch import Spec, serve\n"
        "spec = Spec(models={'policy': Path(sys.argv[1])})\n"
        "with serve(spec, spec) as servers:\n"
        "    print(*(s.process.pid for s in servers), flush=True)\n"
        "    time.sleep(60)\n"
    )
    root = str(Path(__file__).resolve().parents[2])
    with subprocess.Popen(
        [sys.executable, "-c", script, str(folders["policy"])],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": root},
    ) as parent:  # fmt: skip
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 2
        parent.kill()
    wait_until(lambda: not any(map(is_alive, pids)), 5)


def is_alive(pid: int) -> bool:
    """Whether a process still runs; one that has ended and waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
