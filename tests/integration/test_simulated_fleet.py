"""The simulated fleet over real HTTP: the openai client, the orchestrator, faults on the wire."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import openai
import pytest

from orchestrator.commands.forecast.simulation import SimulatedSender, urls
from orchestrator.core.node import root
from orchestrator.core.ports import Models, Sampling
from orchestrator.endpoints.http.sender import Sender
from orchestrator.endpoints.policies.http_policy import TokenPolicy
from orchestrator.endpoints.prm import QwenMathPRM, prms_by_route
from orchestrator.endpoints.probing.probe import probe_policy, probe_prm
from orchestrator.endpoints.transport.transport import Endpoint, Transport
from orchestrator.strategies import BeamSearch
from orchestrator.tasks.math.task import MathTask
from orchestrator.tasks.prompts import PROMPTS
from servers.simulated import clock, problems
from servers.simulated.faults import Faults
from servers.simulated.fleet import Fleet
from servers.simulated.front import HttpFront
from servers.simulated.hardware import GPUS, MODELS, Speed
from servers.simulated.replica import Service
from servers.simulated.solutions import Writer

Tree = list[tuple[tuple[int, ...], tuple[str, ...], tuple[float, ...], str | None]]
"""Leaves by path, steps, scores and end; what was cached depends on who was asked."""

QUESTIONS = [problem.question for problem in problems.generate(4, 11, range(2, 4))]


def _fleet(faults: Faults | None = None) -> Fleet:
    quick = Writer(step_tokens=12)
    return Fleet(
        [
            Service(
                model="policy", role="policy", replicas=2, writer=quick,
                speed=Speed.of(MODELS["1B"], GPUS["H100"]),
            ),
            Service(model="prm", role="prm", speed=Speed.of(MODELS["1.5B"], GPUS["H100"])),
        ],
        faults,
    )  # fmt: skip


async def _search(
    policy_urls: tuple[str, ...], prm_urls: tuple[str, ...], sender: Sender | None
) -> list[Tree]:
    policy = Transport(Endpoint(urls=policy_urls, model="policy"), sender)
    prm = Transport(Endpoint(urls=prm_urls, model="prm"), sender)
    async with policy, prm:
        asking = PROMPTS["qwen"].asking(MathTask.instruction)
        models = Models(TokenPolicy(policy, asking), QwenMathPRM(transport=prm))
        found = await asyncio.gather(
            *(BeamSearch(n=8)(root(q, seed=3, problem_id=q), models) for q in QUESTIONS)
        )
    return [[(leaf.path, leaf.steps, leaf.scores, leaf.finish) for leaf in tree] for tree in found]


async def _in_process(faults: Faults | None = None) -> list[Tree]:
    fleet = _fleet(faults)
    return await _search(urls(fleet, "policy"), urls(fleet, "prm"), SimulatedSender(fleet))


@asynccontextmanager
async def _served(fleet: Fleet) -> AsyncIterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    async with HttpFront(fleet) as front:
        policies, prms = (
            tuple(front.urls[name] for name in fleet.names(model)) for model in ("policy", "prm")
        )
        yield policies, prms


async def test_the_openai_client_gets_what_it_asks_for() -> None:
    async with _served(_fleet()) as ((url, _), _):
        client = openai.AsyncOpenAI(
            base_url=f"{url}/v1", api_key="any", http_client=openai.DefaultAioHttpClient()
        )
        async with client:
            models = await client.models.list()
            chat = await client.chat.completions.create(
                model="policy", messages=[{"role": "user", "content": QUESTIONS[0]}], n=2, seed=1
            )
            with pytest.raises(openai.NotFoundError, match="does not exist"):
                await client.chat.completions.create(
                    model="gpt", messages=[{"role": "user", "content": "?"}]
                )
    assert [model.id for model in models.data] == ["policy"]
    texts = [choice.message.content or "" for choice in chat.choices]
    assert len(set(texts)) == 2
    assert all("\\boxed{" in text for text in texts)
    assert chat.usage is not None and chat.usage.completion_tokens > 0


async def test_trees_over_http_in_real_time_are_those_in_process_in_virtual_time() -> None:
    async with _served(_fleet()) as (policies, prms):
        over_http = await _search(policies, prms, None)
    in_process = await asyncio.to_thread(clock.run, _in_process())
    assert over_http == in_process


async def test_samples_tell_how_likely_they_were_over_chat_and_completions() -> None:
    fleet = _fleet()
    at = Endpoint(urls=urls(fleet, "policy"), model="policy")
    async with Transport(at, SimulatedSender(fleet)) as transport:
        policy = TokenPolicy(transport, PROMPTS["qwen"].asking(MathTask.instruction))
        whole = Sampling(temperature=0.7, until="end", logprobs=True)
        start = root(QUESTIONS[0], seed=3, problem_id="p")
        first, second = await policy.extend(start, 2, whole)
        (step,) = await policy.extend(start, 1, replace(whole, until="step"))
        (rest,) = await policy.extend(step, 1, whole)
        (silent,) = await policy.extend(start, 1, replace(whole, logprobs=False))
    assert first.confidence and second.confidence and step.confidence and rest.confidence
    assert first.confidence != second.confidence
    assert -1 < rest.confidence.mean < 0
    assert silent.confidence is None


async def test_the_probe_finds_all_of_vllms_abilities() -> None:
    async with _served(_fleet()) as (policies, prms):
        policy = Transport(Endpoint(urls=policies, model="policy"))
        prm = Transport(Endpoint(urls=prms, model="prm"))
        async with policy, prm:
            able = await probe_policy(policy)
            judge = await probe_prm(prm, prms_by_route("qwen_math", prm))
    assert (able.continuation, able.n, able.samples_differ) == ("tokens", True, True)
    assert (able.seed_honoured, able.ends_told) == (True, True)
    assert able.simulated and judge.simulated


FAULTS = Faults(
    seed=5, errors=0.05, throttled=0.03, resets=0.05, half_closed=0.05, lies=0.05, retry_after=0
)


async def test_faults_over_http_are_those_in_process_and_change_no_tree() -> None:
    fleet = _fleet(FAULTS)
    async with _served(fleet) as (policies, prms):
        over_http = await _search(policies, prms, None)
    assert over_http == await asyncio.to_thread(clock.run, _in_process())
    assert {"errors", "resets", "half_closed", "lies"} <= fleet.faults.met.keys()
    assert fleet.delivered.again_requests == 0


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_client_that_goes_away_frees_the_replica() -> None:
    fleet = _fleet()
    async with _served(fleet) as ((url, _), _), aiohttp.ClientSession() as session:
        body = {"model": "policy", "prompt": "go on", "n": 1000, "max_tokens": None}
        asked = asyncio.ensure_future(session.post(f"{url}/v1/completions", json=body))
        engine = fleet.replicas["policy-0"].engine
        await _until(lambda: engine.running > 0)
        asked.cancel()
        await _until(lambda: engine.running + engine.waiting == 0)
        assert engine.kv_usage == 0


def test_the_command_says_where_it_serves_and_ends_when_told(tmp_path: Path) -> None:
    config = tmp_path / "fleet.yaml"
    config.write_text("services: {policy: {role: policy, fleet: 2xH100:1B}}\n")
    command = [sys.executable, "-m", "servers.simulated", "--config", str(config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        said = json.loads(server.stdout.readline())
        server.terminate()
        assert server.wait(30) == 0
    assert len(said["urls"]["policy"]) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("services: {policy: {role: policy, fleet: 2xH100:1B, skil: 1}}", "skil"),
        ("faults: 2026-13-45", "month must be in"),
        ("faults: !!bool perhaps", "perhaps"),
        ("{faults: " * 5000, "recursion"),
    ],
)
def test_a_fleet_file_that_is_wrong_says_why_in_one_line(
    tmp_path: Path, text: str, said: str
) -> None:
    config = tmp_path / "fleet.yaml"
    config.write_text(text)
    command = [sys.executable, "-m", "servers.simulated", "--config", str(config)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.strip().count("\n") == 0
    assert said in ended.stderr


@pytest.mark.parametrize("port", ["-1", "65536", "65535"])
def test_a_port_that_leaves_no_room_for_all_replicas_is_refused(tmp_path: Path, port: str) -> None:
    config = tmp_path / "fleet.yaml"
    config.write_text("services: {policy: {role: policy, fleet: 2xH100:1B}}\n")
    command = [sys.executable, "-m", "servers.simulated", "--config", str(config), "--port", port]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 2
    assert "one for each replica" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_what_a_run_finds_on_a_simulated_fleet_is_labelled(tmp_path: Path) -> None:
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text(
        "services: {p: {role: policy, fleet: H100:1B}, r: {role: prm, fleet: H100:7B}}"
    )
    command = [sys.executable, "-m", "servers.simulated", "--config", str(fleet)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        urls = json.loads(server.stdout.readline())["urls"]
        config = tmp_path / "run.yaml"
        config.write_text(
            json.dumps(
                {
                    "task": {"name": "sums", "problems": 2},
                    "policies": {"p": {"url": urls["p"]}},
                    "prms": {"r": {"url": urls["r"], "family": "qwen_math"}},
                    "cells": [{"policy": "p", "prm": "r", "strategy": "dvts", "n": 4}],
                }
            )
        )
        orchard = [sys.executable, "-m", "orchestrator.cli.main", "run", str(config)]
        ended = subprocess.run(
            [*orchard, "--out", str(tmp_path / "run"), "--json"],
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        server.terminate()
    assert ended.returncode == 0, ended.stderr
    records = (tmp_path / "run" / "records.jsonl").read_text().splitlines()
    assert [json.loads(record)["emulated"] for record in records] == [["model"], ["model"]]
