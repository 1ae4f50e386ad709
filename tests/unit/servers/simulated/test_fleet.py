import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from servers.simulated import clock, problems
from servers.simulated.faults import Death, Faults, HalfClosed, Storm
from servers.simulated.fleet import Delivered, Fleet
from servers.simulated.hardware import GPUS, MODELS, Speed
from servers.simulated.replica import Service

SERVICES = (
    Service(model="p", role="policy", replicas=2, speed=Speed.of(MODELS["1B"], GPUS["H100"])),
    Service(model="r", role="prm", speed=Speed.of(MODELS["7B"], GPUS["H100"])),
)
QUESTION = next(problems.generate(1, 1)).question


def _run(act: Callable[[Fleet], Awaitable[Any]], faults: Faults | None = None) -> Any:
    async def main() -> Any:
        return await act(Fleet(SERVICES, faults))

    return clock.run(main())


async def _chat(fleet: Fleet, replica: str = "p-0", **fields: Any) -> dict[str, Any]:
    body = {
        "model": "p", "messages": [{"role": "user", "content": QUESTION}], "seed": 1,
        "stop": ["\n\n"], "include_stop_str_in_output": True, "return_token_ids": True, **fields,
    }  # fmt: skip
    reply = await fleet.handle(replica, "POST", "/v1/chat/completions", msgspec.json.encode(body))
    assert reply.status == 200, reply.body
    return msgspec.json.decode(reply.body)  # type: ignore[no-any-return]


async def _go_on(
    fleet: Fleet, ids: list[int], replica: str = "p-0", **fields: Any
) -> dict[str, Any]:
    body = {"model": "p", "prompt": ids, "seed": 2, "return_token_ids": True, **fields}
    reply = await fleet.handle(replica, "POST", "/v1/completions", msgspec.json.encode(body))
    assert reply.status == 200, reply.body
    return msgspec.json.decode(reply.body)  # type: ignore[no-any-return]


def _texts(answer: dict[str, Any]) -> list[str]:
    return [c["text"] if "text" in c else c["message"]["content"] for c in answer["choices"]]


def test_a_solution_goes_on_from_its_token_ids_to_a_boxed_answer() -> None:
    async def act(fleet: Fleet) -> str:
        chat = await _chat(fleet)
        ids = [*chat["prompt_token_ids"], *chat["choices"][0]["token_ids"]]
        rest = await _go_on(fleet, ids, max_tokens=None)
        return _texts(chat)[0] + _texts(rest)[0]

    text = _run(act)
    steps = text.split("\n\n")
    depth = problems.parse(QUESTION).depth
    assert [step.split(":")[0] for step in steps[:-1]] == [f"Step {i + 1}" for i in range(depth)]
    assert "\\boxed{" in steps[-1]


def test_a_step_has_the_tokens_its_usage_says() -> None:
    answer = _run(lambda fleet: _chat(fleet, n=3))
    tokens = [len(choice["token_ids"]) for choice in answer["choices"]]
    assert answer["usage"]["completion_tokens"] == sum(tokens)
    assert len(set(_texts(answer))) == 3
    assert all(choice["stop_reason"] == "\n\n" for choice in answer["choices"])


def test_texts_depend_on_prompt_and_seed_alone() -> None:
    async def act(fleet: Fleet, order: list[int]) -> dict[int, list[str]]:
        found: dict[int, list[str]] = {}

        async def ask(seed: int) -> None:
            found[seed] = _texts(await _chat(fleet, replica=f"p-{order[0] % 2}", seed=seed, n=2))

        async with asyncio.TaskGroup() as group:
            for seed in order:
                group.create_task(ask(seed))
        return found

    seeds = list(range(40))
    shuffled = random.Random(3).sample(seeds, 40)
    assert _run(lambda fleet: act(fleet, seeds)) == _run(lambda fleet: act(fleet, shuffled))


def test_a_sample_is_cut_at_max_tokens() -> None:
    answer = _run(lambda fleet: _chat(fleet, max_tokens=5))
    choice = answer["choices"][0]
    assert (choice["finish_reason"], len(choice["token_ids"])) == ("length", 5)


def test_a_stop_string_ends_a_text_and_is_named() -> None:
    answer = _run(lambda fleet: _chat(fleet, stop=["we come"], include_stop_str_in_output=False))
    choice = answer["choices"][0]
    assert (choice["message"]["content"], choice["stop_reason"]) == ("Step 1: ", "we come")


def test_the_prompts_prefix_is_cached_on_the_replica_that_saw_it() -> None:
    async def act(fleet: Fleet) -> list[int]:
        await _chat(fleet)
        again = [await _chat(fleet, replica=name) for name in ("p-0", "p-1")]
        return [each["usage"]["prompt_tokens_details"]["cached_tokens"] for each in again]

    here, there = _run(act)
    assert here > 0
    assert there == 0


def test_prompts_beyond_the_context_are_refused_as_vllm_does() -> None:
    async def act(fleet: Fleet) -> bytes:
        body = msgspec.json.encode({"model": "p", "prompt": [80000] * 20_000})
        reply = await fleet.handle("p-0", "POST", "/v1/completions", body)
        assert reply.status == 400
        return reply.body

    assert b"maximum context length" in _run(act)


@pytest.mark.parametrize("fields", [{"n": 0}, {"max_tokens": -3}, {"prompt": ""}, {"prompt": []}])
def test_what_vllm_refuses_is_refused(fields: dict[str, Any]) -> None:
    async def act(fleet: Fleet) -> int:
        body = msgspec.json.encode({"model": "p", "prompt": "go on", **fields})
        return (await fleet.handle("p-0", "POST", "/v1/completions", body)).status

    assert _run(act) == 400


def test_a_message_may_come_in_parts() -> None:
    async def act(fleet: Fleet) -> bool:
        parts = [{"type": "text", "text": QUESTION[:9]}, {"type": "text", "text": QUESTION[9:]}]
        whole = await _chat(fleet)
        return (
            whole["choices"]
            == (await _chat(fleet, messages=[{"role": "user", "content": parts}]))["choices"]
        )

    assert _run(act)


def test_right_steps_score_higher_than_wrong_ones() -> None:
    async def act(fleet: Fleet) -> tuple[list[float], list[float]]:
        right, wrong = [], []
        for problem in problems.generate(50, 3):
            good = [f"Step {i + 1}: we come to {v}, so" for i, v in enumerate(problem.values)]
            bad = [f"Step {i + 1}: we come to {v + 1}, so" for i, v in enumerate(problem.values)]
            texts = [
                f"<|im_start|>user\n{problem.question}<|im_end|>\n<|im_start|>assistant\n"
                + "".join(step + "<extra_0>" for step in steps)
                for steps in (good, bad)
            ]
            body = msgspec.json.encode({"model": "r", "input": texts})
            reply = await fleet.handle("r-0", "POST", "/pooling", body)
            for item, scores in zip(
                msgspec.json.decode(reply.body)["data"], (right, wrong), strict=True
            ):
                assert len(item["data"]) == problem.depth
                scores += [pair[1] for pair in item["data"]]
        return right, wrong

    right, wrong = _run(act)
    assert sum(right) / len(right) > 0.75
    assert sum(wrong) / len(wrong) < 0.25
    assert min(right) < max(wrong)  # it errs, too


def test_harder_problems_are_solved_less_often() -> None:
    writer = SERVICES[0].writer

    def mean(depth: int) -> float:
        chances = [writer.chance(p) for p in problems.generate(300, 5, range(depth, depth + 1))]
        return sum(chances) / len(chances)

    assert mean(3) > mean(6) > mean(12)


def test_metrics_speak_vllms_names() -> None:
    async def act(fleet: Fleet) -> bytes:
        await _chat(fleet)
        return (await fleet.handle("p-0", "GET", "/metrics", None)).body

    text = _run(act).decode()
    for name in ("num_requests_running", "num_requests_waiting", "kv_cache_usage_perc"):
        assert f'vllm:{name}{{model_name="p"}} 0\n' in text


def test_faults_strike_by_rate_and_the_same_requests_every_time() -> None:
    async def act(fleet: Fleet) -> list[int]:
        statuses = []
        for seed in range(400):
            body = {"model": "p", "prompt": [80000] * 20, "seed": seed, "max_tokens": 1}
            reply = await fleet.handle(
                f"p-{seed % 2}", "POST", "/v1/completions", msgspec.json.encode(body)
            )
            statuses.append(reply.status)
        return statuses

    faults = Faults(seed=4, errors=0.1, throttled=0.05)
    first = _run(act, faults)
    assert 20 < first.count(500) < 60
    assert 5 < first.count(429) < 40
    assert first == _run(act, faults)


def test_a_storm_throttles_everyone_with_its_header() -> None:
    async def act(fleet: Fleet) -> list[tuple[int, str | None]]:
        body = msgspec.json.encode({"model": "p", "prompt": [80000] * 20, "max_tokens": 1})
        seen = []
        for pause in (0.0, 10.0, 30.0):
            await asyncio.sleep(pause)
            reply = await fleet.handle("p-0", "POST", "/v1/completions", body)
            seen.append((reply.status, reply.headers.get("Retry-After")))
        return seen

    faults = Faults(storms=(Storm(at=5, lasts=20, retry_after=7),))
    assert _run(act, faults) == [(200, None), (429, "7"), (200, None)]


def test_a_replica_that_dies_loses_its_work_and_comes_back_empty() -> None:
    async def act(fleet: Fleet) -> int:
        ids = (await _chat(fleet))["prompt_token_ids"]
        with pytest.raises(ConnectionResetError):
            await _go_on(fleet, ids, max_tokens=None, n=400)
        assert asyncio.get_running_loop().time() == pytest.approx(0.5)
        with pytest.raises(ConnectionRefusedError):
            await _go_on(fleet, ids)
        await _go_on(fleet, ids, replica="p-1")
        await asyncio.sleep(30)
        again = await _go_on(fleet, ids)
        return again["usage"]["prompt_tokens_details"]["cached_tokens"]  # type: ignore[no-any-return]

    assert _run(act, Faults(deaths=(Death(replica="p-0", at=0.5, lasts=30),))) == 0


def test_an_answer_that_lacks_a_choice_is_lost_and_the_next_one_is_whole() -> None:
    async def act(fleet: Fleet) -> tuple[list[int], Delivered]:
        answers = [await _chat(fleet, n=3) for _ in range(12)]
        return [len(answer["choices"]) for answer in answers], fleet.delivered

    counts, delivered = _run(act, Faults(seed=2, short=0.5))
    assert set(counts) == {2, 3}
    assert (delivered.requests, delivered.lost_requests) == (counts.count(3), counts.count(2))
    assert delivered.generated_tokens > 0 and delivered.lost_generated_tokens > 0


def test_an_answer_that_breaks_off_was_computed() -> None:
    async def act(fleet: Fleet) -> tuple[int, int]:
        with pytest.raises(HalfClosed):
            await _chat(fleet)
        computed = fleet.replicas["p-0"].engine.counts.generated_tokens
        return computed, fleet.delivered.lost_generated_tokens

    computed, lost = _run(act, Faults(half_closed=1.0))
    assert computed == lost > 0


def test_what_is_delivered_twice_is_counted() -> None:
    async def act(fleet: Fleet) -> tuple[int, int]:
        await _chat(fleet)
        await _chat(fleet, replica="p-1")
        await _chat(fleet, seed=9)
        return fleet.delivered.requests, fleet.delivered.again_requests

    assert _run(act) == (3, 1)


def test_shares_of_faults_that_exceed_one_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 1"):
        Faults(errors=0.7, resets=0.7)
    with pytest.raises(ValueError, match="no replica is named 'x'"):
        Fleet(SERVICES, Faults(slow={"x": 10}))
