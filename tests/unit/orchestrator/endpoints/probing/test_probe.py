"""Probes against servers that differ as real ones do, each a function from a request to JSON."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.core.node import root
from orchestrator.endpoints.http.retry import RetryPolicy
from orchestrator.endpoints.http.sender import HttpResponse
from orchestrator.endpoints.prm import prms_by_route
from orchestrator.endpoints.probing.probe import (
    PolicyAbilities,
    PRMAbilities,
    check_served,
    probe_policy,
    probe_prm,
)
from orchestrator.endpoints.transport.transport import Endpoint, Transport
from orchestrator.errors import BadResponse, ContextOverflow, EndpointRefused, EndpointUnavailable

TEXT = " 10 11 12"


def serving(*names: str, context: int | None = 8192) -> dict[str, Any]:
    return {"data": [{"id": name, "max_model_len": context} for name in names]}


class Server(Transport):
    """Answers by ``chat`` and ``complete``; an int is an HTTP status."""

    def __init__(self, chat: Callable[[Any], Any], complete: Callable[[Any], Any]) -> None:
        once = RetryPolicy(attempts=1)
        endpoint = Endpoint(urls=("http://host/v1",), model="m", retry=once)
        super().__init__(endpoint, Routes({"chat/completions": chat, "completions": complete}))


class Routes:
    """The sender of such a server."""

    def __init__(self, routes: dict[str, Callable[[Any], Any]]) -> None:
        self.routes = routes

    async def __aenter__(self) -> "Routes":
        return self

    async def __aexit__(self, *exception: object) -> None:
        pass

    async def send(self, method: str, url: str, body: bytes | None) -> HttpResponse:
        route = url.removeprefix("http://host/v1/")
        if route == "models":
            return HttpResponse(status=200, content=json.dumps(serving("m")).encode())
        answer = self.routes.get(route, without)(json.loads(body or b""))
        if isinstance(answer, int):
            return HttpResponse(status=answer, content=b"no")
        for choice in answer["choices"]:
            choice.setdefault("finish_reason", "stop")
        return HttpResponse(status=200, content=json.dumps({"model": "m"} | answer).encode())


def cut(text: str, asked: Any) -> tuple[str, str | None]:
    """A text as far as its stop string, which is left out, and the stop string met."""
    for stop in asked.get("stop") or ():
        if stop in text:
            return text[: text.index(stop)], stop
    return text, None


def vllm(asked: Any) -> Any:
    """Knows everything: token ids, continuation, kept stop strings, seeds."""
    choices = []
    for i in range(asked.get("n", 1)):
        text, met = cut(f"{TEXT} {asked.get('seed')}/{i}" if asked.get("seed") else TEXT, asked)
        if met and asked.get("include_stop_str_in_output"):
            text += met
        ids = [ord(c) for c in text] if asked.get("return_token_ids") else None
        choices.append(
            {"index": i, "message": {"content": text}, "stop_reason": met, "token_ids": ids}
            | ({"logprobs": {"content": []}} if asked.get("logprobs") else {})
        )
    prompt = 5 if asked.get("continue_final_message") else 9
    told = [1, 2] if asked.get("return_token_ids") else None
    return {"choices": choices, "prompt_token_ids": told, "usage": {"prompt_tokens": prompt}}


def sglang(asked: Any) -> Any:
    """Continues, and names the stop string it cut off; no token ids."""
    answer = vllm({**asked, "return_token_ids": False, "include_stop_str_in_output": False})
    for choice in answer["choices"]:
        choice["matched_stop"] = choice.pop("stop_reason")
    return answer


def llama_cpp(asked: Any) -> Any:
    """One sample a request; always goes on with an assistant's message; says nothing of stops."""
    text, _ = cut(f"{TEXT} {asked.get('seed')}" if asked.get("seed") else TEXT, asked)
    return {"choices": [{"index": 0, "message": {"content": text}}], "usage": {"prompt_tokens": 9}}


def starts_over(asked: Any) -> Any:
    """Ignores what it does not know and answers an open message with a new one."""
    samples = range(asked.get("n", 1))
    return {
        "choices": [{"index": i, "message": {"content": f"1 2 3 {i}"}} for i in samples],
        "usage": {"prompt_tokens": 9},
    }


def strict(asked: Any) -> Any:
    """Refuses every field that OpenAI's own API does not have."""
    unknown = re.compile("token_ids|continue|include_stop|add_generation")
    return 400 if any(map(unknown.search, asked)) else starts_over(asked)


def only_several(asked: Any) -> Any:
    """Answers two samples and never one."""
    return vllm(asked) if asked.get("n") else {"choices": []}


def completing(asked: Any) -> Any:
    return {"choices": [{"index": 0, "text": " x"}]}


def without(asked: Any) -> Any:
    return 404


async def test_every_replica_is_asked_for_the_model(scripted: Any) -> None:
    transport = scripted(serving("m"), serving("x", "m"), urls=("http://a/v1", "http://b"))
    assert (await check_served(transport)).max_model_len == 8192
    assert [sent.url for sent in transport.sent] == ["http://a/v1/models", "http://b/v1/models"]


async def test_a_replica_that_is_gone_is_named_and_the_others_are_asked(
    scripted: Any, caplog: pytest.LogCaptureFixture
) -> None:
    urls = ("http://a", "http://b", "http://c")
    gone = EndpointUnavailable("nothing answers at http://b", url="http://b")
    transport = scripted(serving("m"), gone, serving("m"), urls=urls)
    assert (await check_served(transport)).max_model_len == 8192
    (record,) = caplog.records
    said = "nothing answers at http://b; going on with 2 of 3 replicas"
    assert record.getMessage() == said
    asked = [each.base for each in transport.dispatcher.replicas if each.breaker.state == "closed"]
    assert asked == ["http://a", "http://c"]


async def test_without_one_replica_that_answers_there_is_nothing_to_go_on_with(
    scripted: Any, caplog: pytest.LogCaptureFixture
) -> None:
    gone = EndpointUnavailable("nothing answers", url="http://a")
    with pytest.raises(EndpointUnavailable, match="nothing answers"):
        await check_served(scripted(gone, gone, urls=("http://a", "http://b")))
    assert not caplog.records


@pytest.mark.parametrize("refused", [EndpointRefused("wrong key", url=""), serving("other")])
async def test_a_replica_that_refuses_ends_it_whoever_else_is_gone(
    scripted: Any, refused: Any
) -> None:
    gone = EndpointUnavailable("nothing answers", url="http://a")
    urls = ("http://a", "http://b", "http://c")
    with pytest.raises(EndpointRefused):
        await check_served(scripted(gone, serving("m"), refused, urls=urls))


@pytest.mark.parametrize(
    ("served", "hint"),
    [(("mm", "other"), "did you mean 'mm'"), (("qwen", "llama"), "it serves: qwen, llama")],
)
async def test_a_model_that_is_not_served_is_refused_with_what_is(
    scripted: Any, served: tuple[str, ...], hint: str
) -> None:
    with pytest.raises(EndpointRefused, match=hint):
        await check_served(scripted(serving(*served)))


@pytest.mark.parametrize(
    ("chat", "complete", "can"),
    [
        (
            vllm,
            completing,
            PolicyAbilities(
                context=8192, completions=True, token_ids=True, continuation="tokens",
                seed_honoured=True, logprobs=True,
            ),
        ),
        (
            sglang,
            completing,
            PolicyAbilities(
                context=8192, completions=True, continuation="chat", seed_honoured=True,
                logprobs=True,
            ),
        ),
        (
            llama_cpp,
            completing,
            PolicyAbilities(
                context=8192, completions=True, continuation="chat", n=False, seed_honoured=True,
                ends_told=False,
            ),
        ),
        (
            starts_over,
            without,
            PolicyAbilities(context=8192, seed_honoured=True, ends_told=False),
        ),
    ],
)  # fmt: skip
async def test_each_kind_of_server_is_known_by_what_it_does(
    chat: Any, complete: Any, can: PolicyAbilities
) -> None:
    assert await probe_policy(Server(chat, complete)) == can


async def test_a_server_that_refuses_unknown_fields_is_asked_without_them() -> None:
    can = await probe_policy(Server(strict, without))
    assert (can.n, can.token_ids, can.continuation) == (True, False, None)


async def test_log_probabilities_of_the_sampled_tokens_are_enough() -> None:
    """vLLM's ``--max-logprobs 0`` refuses those of any other token."""

    def sampled_alone(asked: Any) -> Any:
        return 400 if asked.get("top_logprobs") else vllm(asked)

    assert (await probe_policy(Server(sampled_alone, completing))).logprobs


async def test_token_ids_are_no_continuation_where_completions_are_missing() -> None:
    can = await probe_policy(Server(vllm, without))
    assert (can.token_ids, can.completions, can.continuation) == (True, False, "chat")


async def test_a_policy_that_ignores_seeds_or_repeats_itself_is_found_out() -> None:
    calls = iter(range(100))

    def forgetful(asked: Any) -> Any:
        return {
            "choices": [{"index": i, "message": {"content": f"{next(calls)} !!!!"}} for i in (0, 1)]
        }

    can = await probe_policy(Server(forgetful, without))
    assert (can.seed_honoured, can.samples_differ) == (False, True)

    def dull(asked: Any) -> Any:
        return {"choices": [{"index": i, "message": {"content": "same"}} for i in (0, 1)]}

    can = await probe_policy(Server(dull, without))
    assert (can.seed_honoured, can.samples_differ) == (True, False)


def samples(*texts: str) -> Any:
    choices = [{"index": i, "message": {"content": text}} for i, text in enumerate(texts)]
    return {"choices": choices}


async def test_copies_of_one_sample_are_told_from_samples_that_are_all_the_same() -> None:
    by_seed = await probe_policy(Server(lambda a: samples(*2 * [f"!!!! {a.get('seed')}"]), without))
    assert (by_seed.n, by_seed.samples_differ) == (False, True)
    calls = iter(range(99))
    by_chance = await probe_policy(Server(lambda a: samples(*2 * [f"!!!! {next(calls)}"]), without))
    assert (by_chance.n, by_chance.samples_differ) == (False, True)
    one_per_request = await probe_policy(Server(lambda a: samples("!!!!"), without))
    assert (one_per_request.n, one_per_request.samples_differ) == (False, False)


async def test_two_samples_that_agree_by_chance_are_no_copies() -> None:
    def seldom(asked: Any) -> Any:
        return samples("!!!! a", "!!!! a" if asked.get("seed") == 1 else "!!!! b")

    can = await probe_policy(Server(seldom, without))
    assert (can.n, can.samples_differ) == (True, True)


@pytest.mark.parametrize("counted", [1, 2, 0])
async def test_samples_that_the_usage_does_not_count_are_asked_for_one_by_one(counted: int) -> None:
    def counting(asked: Any) -> Any:
        answer = sglang(asked)
        tokens = counted * asked["max_tokens"]
        return answer | {"usage": {"prompt_tokens": 9, "completion_tokens": tokens}}

    can = await probe_policy(Server(counting, completing))
    assert can.n is (counted != 1)


async def test_no_choices_at_all_is_a_bad_response_and_a_dead_server_an_error() -> None:
    for silent in (lambda asked: {"choices": []}, only_several):
        with pytest.raises(BadResponse, match="no choices"):
            await probe_policy(Server(silent, without))
    with pytest.raises(EndpointUnavailable):
        await probe_policy(Server(lambda asked: 503, without))


async def test_a_prm_is_tried_with_a_solution_of_two_steps(scripted: Any) -> None:
    scores = {"model": "m", "data": [{"index": 0, "data": [[0.1, 0.9], [0.2, 0.8]]}]}
    transport = scripted(serving("m"), scores)
    can = await probe_prm(transport, prms_by_route("qwen_math", transport))
    assert can == PRMAbilities(context=8192, scored_by="pooling")
    assert transport.sent[1].body["input"][0].count("<extra_0>") == 2


# The route of a PRM that says "+" or "-"

NOT_HERE = EndpointRefused("http://host/pooling is not there (404)", url="")
ROWS = {"model": "m", "data": [{"index": 0, "data": [[0.9, 0.1], [0.8, 0.2]]}]}


SOLUTION = root("What is 1 + 1?", seed=1, problem_id="p").child(0, ("Add.\n\n", "2"))


def tokenized(*ids: int) -> dict[str, Any]:
    return {"tokens": list(ids), "count": len(ids), "max_model_len": 8192}


def verdict() -> dict[str, Any]:
    logprobs = {"top_logprobs": [{"token_id:1": -0.7, "token_id:2": -0.7}]}
    return {"model": "m", "choices": [{"index": 0, "text": "+", "logprobs": logprobs}]}


async def test_a_pooling_server_is_found_in_the_one_request_that_tries_it(scripted: Any) -> None:
    transport = scripted(serving("m"), ROWS, ROWS)
    prms = prms_by_route("math_shepherd", transport)
    assert (await probe_prm(transport, prms)).scored_by == "pooling"
    await prms["pooling"].score([SOLUTION])
    assert [sent.url for sent in transport.sent[1:]] == ["http://host/pooling"] * 2


async def test_a_generating_server_is_found_and_then_asked_for_prefixes_alone(
    scripted: Any,
) -> None:
    labels = [tokenized(1), tokenized(2)]
    transport = scripted(serving("m"), NOT_HERE, *labels, *[verdict()] * 4)
    prms = prms_by_route("math_shepherd", transport)
    assert (await probe_prm(transport, prms)).scored_by == "prefix"
    (scored,) = await prms["prefix"].score([SOLUTION])
    assert scored.scores == pytest.approx((0.5, 0.5))
    assert [sent.url for sent in transport.sent].count("http://host/pooling") == 1


async def test_a_server_with_neither_route_is_refused_with_both_reasons(scripted: Any) -> None:
    no_tokens = EndpointRefused("http://host/tokenize is not there (404)", url="")
    transport = scripted(serving("m"), NOT_HERE, no_tokens)
    with pytest.raises(EndpointRefused, match=r"neither route; pooling: .*; prefix: .*tokenize"):
        await probe_prm(transport, prms_by_route("math_shepherd", transport))


async def test_a_route_that_the_config_names_is_the_only_one_tried(scripted: Any) -> None:
    transport = scripted(serving("m"), NOT_HERE)
    with pytest.raises(EndpointRefused, match="/pooling is not there") as caught:
        await probe_prm(transport, prms_by_route("math_shepherd", transport, route="pooling"))
    assert caught.value is NOT_HERE


async def test_a_wrong_step_tag_is_told_before_any_other_route_is_tried(
    scripted_once: Any,
) -> None:
    rows = {"model": "m", "data": [{"index": 0, "data": []}]}
    transport = scripted_once(serving("m"), rows)
    with pytest.raises(BadResponse, match="scored 0 steps of 2: is math_shepherd"):
        await probe_prm(transport, prms_by_route("math_shepherd", transport))


async def test_a_prm_that_takes_no_solution_at_all_is_told_before_a_run(scripted: Any) -> None:
    transport = scripted(serving("m"), ContextOverflow("maximum context length", url=""))
    with pytest.raises(BadResponse, match=r"takes no solution of two short steps.* as overflow"):
        await probe_prm(transport, prms_by_route("qwen_math", transport))
