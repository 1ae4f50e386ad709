"""Several real servers behind one endpoint: failover, breakers, live change, hedging."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from orchestrator.core.fanout import fan_out
from orchestrator.core.node import Node, root
from orchestrator.core.ports import Models, Sampling
from orchestrator.endpoints.http.retry import RetryPolicy
from orchestrator.endpoints.policies.http_policy import TokenPolicy
from orchestrator.endpoints.prm import QwenMathPRM
from orchestrator.endpoints.transport.transport import Endpoint, Transport
from orchestrator.strategies import BeamSearch
from orchestrator.tasks.math.task import MathTask
from orchestrator.tasks.prompts import PROMPTS
from tests.integration.misbehaving import (
    CHAT,
    COMPLETIONS,
    POOLING,
    Server,
    changed,
    hang,
    html,
    running,
    status,
)

STEP = Sampling(temperature=0.8, max_tokens=24, until="step")
PATIENT = RetryPolicy(attempts=8, first_wait=0.02, longest_wait=0.2, patience=30.0)


@asynccontextmanager
async def policy_at(*urls: str, **settings: Any) -> AsyncIterator[TokenPolicy]:
    settings = {"retry": PATIENT, **settings}
    async with Transport(Endpoint(urls=urls, model="policy", **settings)) as transport:
        yield TokenPolicy(transport, PROMPTS["tiny"].asking(MathTask.instruction))


@asynccontextmanager
async def scorer_at(*urls: str) -> AsyncIterator[QwenMathPRM]:
    async with Transport(Endpoint(urls=urls, model="prm", retry=PATIENT)) as transport:
        yield QwenMathPRM(transport=transport)


def problem(i: int) -> Node:
    return root(f"What is {i}?", seed=7, problem_id=f"p{i}")


async def ask(policy: TokenPolicy, numbers: range) -> list[list[Node]]:
    return await fan_out(policy.extend(problem(i), 2, STEP) for i in numbers)


async def until(reached: Callable[[], bool], seconds: float = 10.0) -> None:
    for _ in range(round(seconds / 0.01)):
        if reached():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen")


def states(policy: TokenPolicy) -> list[str]:
    return [replica.breaker.state for replica in policy.transport.dispatcher.replicas]


async def test_a_replica_that_fails_is_left_alone_and_taken_back_when_it_is_well() -> None:
    async with running() as well, running() as ill, policy_at(well.url, ill.url) as policy:
        calm = await ask(policy, range(40))
        assert well.seen(CHAT) and ill.seen(CHAT)
        for path in (CHAT, "/health"):
            ill.on(path, status(500), forever=True)
        assert await ask(policy, range(40)) == calm
        assert states(policy) == ["closed", "open"]
        before = len(ill.seen(CHAT))
        assert await ask(policy, range(40)) == calm
        assert len(ill.seen(CHAT)) == before
        ill.rules.clear()
        await until(lambda: states(policy)[1] == "half-open")
        await ask(policy, range(40, 80))
        assert states(policy) == ["closed", "closed"]


async def test_a_replica_that_answers_html_is_as_good_as_dead() -> None:
    async with running() as well, running() as ill, policy_at(well.url, ill.url) as policy:
        ill.on(CHAT, html(), forever=True)
        assert len(await ask(policy, range(20))) == 20
        assert len(await ask(policy, range(20))) == 20
        assert len(ill.seen(CHAT)) < 20


async def test_when_all_replicas_are_gone_requests_wait_and_go_on_when_one_is_back() -> None:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(running())
        port = int(first.url.rpartition(":")[2])
        policy = await stack.enter_async_context(policy_at(first.url))
        calm = await ask(policy, range(20))
        first.on(CHAT, status(502), forever=True)
        first.on("/health", status(502), forever=True)
        waiting = asyncio.create_task(ask(policy, range(20)))
        await until(lambda: states(policy) == ["open"])
        await until(lambda: policy.transport.status().waits_for is not None)
        assert str(policy.transport.status()).startswith("the one replica is down: waiting since")
        assert port and not waiting.done()
        first.rules.clear()
        assert await waiting == calm


async def test_replicas_added_to_the_file_are_used_and_removed_ones_end_what_they_have(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    listed = tmp_path / "endpoints.yaml"

    def write(text: str) -> None:
        listed.write_text(text)
        os.utime(listed, ns=(time.time_ns(), time.time_ns()))

    async with running() as old, running() as new:
        write(f"- {old.url}\n")
        async with policy_at(old.url, listed=listed, name="policy") as policy:
            calm = await ask(policy, range(10))
            write("- http://a\n- [")
            await until(lambda: bool(caplog.records))
            assert await ask(policy, range(10)) == calm
            (record,) = caplog.records
            assert "going on with the replicas it listed before" in record.getMessage()
            old.delay = 1.0
            under_way = asyncio.create_task(ask(policy, range(10)))
            await until(lambda: old.in_flight == 10)
            write(f"policy:\n  - {new.url}/v1\n")
            replicas = policy.transport.dispatcher.replicas
            await until(lambda: [each.base for each in replicas] == [new.url])
            assert await ask(policy, range(10)) == calm
            assert len(new.seen(CHAT)) == 10
            assert await under_way == calm
            assert len(new.seen(CHAT)) == 10


async def test_a_straggler_is_sent_elsewhere_and_the_loser_ends_at_its_server() -> None:
    async with running() as one, running() as two:
        async with policy_at(one.url, two.url, hedge=90.0) as policy:
            calm = await ask(policy, range(60))
            home = one if any("is 3?" in str(call.body) for call in one.seen(CHAT)) else two
            home.on(CHAT, hang(), when=lambda body: "is 3?" in str(body))
            assert (await ask(policy, range(60)))[3] == calm[3]
            await until(lambda: one.in_flight + two.in_flight == 0)
        bodies = [c.body for s in (one, two) for c in s.seen(CHAT) if "is 3?" in str(c.body)]
        assert len(bodies) >= 3 and all(body == bodies[0] for body in bodies)


async def test_the_same_trees_grow_whatever_happens_to_the_replicas() -> None:
    search = BeamSearch(n=4, width=2)

    class Scores:
        async def score(self, nodes: list[Node]) -> list[Node]:
            return [node.scored([len(step) % 7 / 7 for step in node.steps]) for node in nodes]

    async def trees(policy: TokenPolicy) -> list[list[Node]]:
        return await fan_out(search(problem(i), Models(policy, Scores())) for i in range(30))

    async with running() as calm, policy_at(calm.url) as policy:
        expected = await trees(policy)
    async with running() as one, running() as two, policy_at(one.url, two.url) as policy:
        count = 0

        def now_and_then(body: Any) -> bool:
            nonlocal count
            count += 1
            return count % 6 == 0

        for server in (one, two):
            for path in (CHAT, "/v1/completions"):
                server.on(path, status(503), when=now_and_then, forever=True)
        assert await trees(policy) == expected
        assert policy.transport.status().retries > 0


async def test_five_servers_share_the_trees_of_many_questions() -> None:
    async with AsyncExitStack() as stack:
        servers: list[Server] = [await stack.enter_async_context(running()) for _ in range(5)]
        policy = await stack.enter_async_context(policy_at(*(server.url for server in servers)))
        await ask(policy, range(200))
        assert all(20 <= len(server.seen(CHAT)) <= 70 for server in servers)


async def test_a_server_that_leaves_out_choices_and_scores_changes_no_tree() -> None:
    search = BeamSearch(n=4, width=2)

    async def trees(*urls: str) -> list[list[tuple[Any, ...]]]:
        async with policy_at(*urls) as policy, scorer_at(*urls) as prm:
            found = await fan_out(search(problem(i), Models(policy, prm)) for i in range(30))
        return [[(leaf.path, leaf.steps, leaf.scores) for leaf in tree] for tree in found]

    async with running() as calm:
        expected = await trees(calm.url)
    async with running() as honest, running() as liar:
        for path in (CHAT, COMPLETIONS):
            liar.on(path, changed(lambda good: good["choices"].pop()), forever=True)
        liar.on(POOLING, changed(lambda good: good["data"].pop()), forever=True)
        assert await trees(honest.url, liar.url) == expected
        assert all(liar.seen(path) for path in (CHAT, POOLING))
