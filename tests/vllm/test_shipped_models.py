"""The shipped models on real vLLM: up by one command, searched, killed, and as the embedded server
has them."""

import json
import random
import time
from collections.abc import Iterator
from dataclasses import astuple, replace
from pathlib import Path

import psutil
import pytest

from orchestrator.core.node import Node, root
from orchestrator.core.ports import Models, Sampling
from orchestrator.core.records import Record
from orchestrator.endpoints.policies.http_policy import ChatPolicy, HttpPolicy, TokenPolicy
from orchestrator.endpoints.probing.probe import probe_policy
from orchestrator.endpoints.transport.transport import Endpoint, Transport
from orchestrator.statistics import wilson
from orchestrator.storage.store import RECORDS, read_records
from orchestrator.strategies.beam_search import BeamSearch
from orchestrator.tasks.math.task import MathTask
from orchestrator.tasks.prompts import PROMPTS
from servers.fleet import launch
from servers.tiny.launch import Spec, serve
from servers.tiny.problems import Chain, held_out
from servers.tiny.shipped import MODELS
from tests.vllm import shipped
from tests.vllm.product import Recorded, prm_at
from tests.vllm.starting import Start, bring_up, replicas

PROBLEMS = 40
PATHS = 200


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, vllm_python: Path) -> Path:
    home = tmp_path_factory.mktemp("shipped")
    shipped.write(home, "fleet.yaml", shipped.fleet(vllm_python))
    return home


@pytest.fixture(scope="module")
def start(home: Path) -> Iterator[Start]:
    try:
        yield bring_up(home / "fleet.yaml")
    finally:
        shipped.completed("servers", "down", shipped.FLEET)


def endpoint(service: str) -> Endpoint:
    url = next(replica.url for replica in replicas() if replica.service == service)
    return Endpoint(urls=(url,), model=service, api_key=launch.api_key(shipped.FLEET))


def test_up_adds_two_seconds_at_most_to_what_vllm_takes_to_start(start: Start) -> None:
    assert len(start.healthy) == 4
    assert start.added < 2.0 * max(1.0, start.crowding), start


def test_all_replicas_start_at_the_same_time(start: Start) -> None:
    assert max(start.began) - min(start.began) < 1.0 * max(1.0, start.crowding)


@pytest.fixture(scope="module")
def records(home: Path, start: Start) -> list[Record]:
    """The searches on real vLLM."""
    servers = shipped.fleet(Path("python"))["servers"]
    config = shipped.run(servers, problems=PROBLEMS, seed=2027)
    return shipped.searched(shipped.write(home, "vllm.yaml", config), home / "runs" / "vllm")


def test_searches_come_to_their_end(records: list[Record]) -> None:
    assert len(records) == 3 * PROBLEMS
    assert not [record for record in records if record.error or record.ran_out]


def test_searches_are_as_accurate_as_on_the_embedded_server(
    home: Path, records: list[Record]
) -> None:
    config = shipped.run({"tiny": {"replicas": 1}}, problems=PROBLEMS, seed=2027)
    embedded = shipped.searched(shipped.write(home, "tiny.yaml", config), home / "runs" / "tiny")
    for cell in {record.cell for record in records}:
        # two samples of the same searches: each is as uncertain as the other
        ours, theirs = (wilson(right(run, cell), PROBLEMS) for run in (records, embedded))
        assert ours.low <= theirs.high and theirs.low <= ours.high, cell


def right(records: list[Record], cell: str) -> int:
    return sum(r.verdicts["max_last"].correct for r in records if r.cell == cell)


def test_the_ledger_tells_what_the_prefix_caches_held(records: list[Record]) -> None:
    assert all(record.cached_tokens <= record.prompt_tokens for record in records)
    assert sum(record.cached_tokens for record in records) > 0
    by_prefix = [record for record in records if record.prm == "prm-shepherd"]
    assert sum(record.prm_cached_tokens for record in by_prefix) > 0


async def test_a_search_by_token_ids_sends_no_text_twice(start: Start) -> None:
    question = next(held_out(1, seed=3, depths=range(8, 9))).question
    tiny = PROMPTS["tiny"]
    async with (
        Recorded(endpoint(shipped.POLICY)) as to_policy,
        Transport(endpoint("prm-shepherd")) as to_prm,
    ):
        policy = TokenPolicy(to_policy, tiny.asking(MathTask.instruction), tiny.separator)
        prm = await prm_at(to_prm, "math_shepherd")
        search = BeamSearch(n=4, width=2, max_tokens=64)
        await search(root(question, seed=1, problem_id="p"), Models(policy, prm))
    first, *others = to_policy.exchanges
    assert question in json.dumps(first["request"])
    assert len(others) > 8
    for exchange in others:
        assert exchange["path"] == "/v1/completions"
        assert all(isinstance(token, int) for token in exchange["request"]["prompt"])
    cached = [e["answer"]["usage"]["prompt_tokens_details"]["cached_tokens"] for e in others]
    assert sum(hit > 0 for hit in cached) > len(cached) / 2


@pytest.mark.parametrize("kind", [TokenPolicy, ChatPolicy])
async def test_samples_and_questions_are_as_likely_as_on_the_embedded_server(
    kind: type[HttpPolicy], start: Start
) -> None:
    question = root(next(held_out(1, seed=3)).question, seed=1, problem_id="p")
    step = Sampling(temperature=0.0, max_tokens=64, logprobs=True)
    tiny = PROMPTS["tiny"]

    async def likelihoods(served: Endpoint) -> tuple[Node, Node]:
        async with Transport(served) as transport:
            policy = kind(transport, tiny.asking(MathTask.instruction), tiny.separator)
            (first,) = await policy.extend(question, 1, replace(step, question_logprob=True))
            (rest,) = await policy.extend(first, 1, replace(step, until="end"))
            return first, rest

    with serve(Spec(models={shipped.POLICY: MODELS / shipped.POLICY})) as (server,):
        embedded = await likelihoods(Endpoint(urls=(server.url,), model=shipped.POLICY))
    served = await likelihoods(endpoint(shipped.POLICY))
    assert served[0].question_logprob == pytest.approx(embedded[0].question_logprob, abs=1e-3)
    for ours, theirs in zip(served, embedded, strict=True):
        assert ours.steps == theirs.steps
        assert ours.confidence and theirs.confidence
        assert astuple(ours.confidence) == pytest.approx(astuple(theirs.confidence), abs=1e-3)


async def test_a_server_that_gives_one_logprob_a_token_is_seen_to_give_them(start: Start) -> None:
    async with Transport(endpoint(shipped.POLICY)) as transport:
        assert (await probe_policy(transport)).logprobs


@pytest.mark.parametrize("name", shipped.PRMS)
async def test_prms_give_the_scores_of_the_embedded_server(name: str, start: Start) -> None:
    entry = shipped.models()[name]
    paths = list(solutions())

    async def scores(served: Endpoint) -> list[tuple[float, ...]]:
        async with Transport(served) as transport:
            prm = await prm_at(transport, entry["family"], **entry.get("options", {}))
            groups = [paths[i : i + 8] for i in range(0, PATHS, 8)]
            return [node.scores for group in groups for node in await prm.score(group)]

    with serve(Spec(models={name: MODELS / name})) as (tiny,):
        embedded = await scores(Endpoint(urls=(tiny.url,), model=name))
    served = await scores(endpoint(name))
    assert len(served) == PATHS
    assert {len(each) for each in served} == {len(node.steps) for node in paths}
    pairs = zip(served, embedded, strict=True)
    assert (
        max(abs(a - b) for ours, theirs in pairs for a, b in zip(ours, theirs, strict=True)) < 1e-3
    )


def solutions() -> Iterator[Node]:
    """Chains with some steps wrong, each as far as some step."""
    rng = random.Random(5)
    for number, chain in enumerate(held_out(PATHS, seed=11)):
        steps = [f"{spoilt(step, rng, chain)}\n\n" for step in chain.steps[:-1]]
        steps = [*steps, chain.steps[-1]][: rng.randint(1, len(chain.steps))]
        yield root(chain.question, seed=1, problem_id=str(number)).child(0, tuple(steps))


def spoilt(step: str, rng: random.Random, chain: Chain) -> str:
    """The step, one time in three with another result."""
    worked, _, result = step.rpartition(" ")
    other = rng.choice([value for value in chain.values if str(value) != result] or [7])
    return f"{worked} {other}" if rng.random() < 1 / 3 else step


@pytest.mark.parametrize("victim", ["server", "engine"])
def test_a_replica_killed_in_the_middle_of_a_run_comes_back_and_the_run_finishes(
    victim: str, home: Path, start: Start
) -> None:
    servers = shipped.fleet(Path("python"))["servers"]
    config = shipped.run(servers, problems=16, seed={"server": 7, "engine": 8}[victim])
    path, out = shipped.write(home, f"{victim}.yaml", config), home / "runs" / victim
    before = replicas()[0]
    with shipped.orchard("run", path, "--out", out) as process:
        while process.poll() is None and lines(out / RECORDS) < 4:
            time.sleep(0.05)
        assert process.poll() is None, "the run was over before the replica was killed"
        server = psutil.Process(before.pid)
        (server if victim == "server" else max(server.children(), key=memory)).kill()
        said, _ = process.communicate()
    assert process.returncode == 0, said
    records = read_records(out)
    assert len(records) == 3 * 16
    assert not [record for record in records if record.error or record.ran_out]
    after = launch.follow(shipped.FLEET).replicas[0]
    assert (after.url, after.restarts) == (before.url, before.restarts + 1)


def memory(process: psutil.Process) -> int:
    return int(process.memory_info().rss)


def lines(path: Path) -> int:
    return len(path.read_bytes().splitlines()) if path.exists() else 0
