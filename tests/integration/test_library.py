"""The library over real HTTP: limits, cancellation, and errors one can act on."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import orchestrator as orchard
from orchestrator.core.task import Instruction, Task
from orchestrator.endpoints.transport.transport import Transport
from tests.integration import standin_openai as openai
from tests.integration.misbehaving import CHAT, COMPLETIONS, Server, changed, hang, running, status

QUESTION = "What is 1 + 1?"
SEARCH = orchard.BeamSearch(n=4, width=2, max_depth=4, max_tokens=24)


def policy(server: Server, **more: Any) -> orchard.Policy:
    return orchard.Policy(server.url, model="policy", **{"prompt": "tiny", **more})


def prm(server: Server, **more: Any) -> orchard.PRM:
    return orchard.PRM(server.url, model="prm", family="qwen_math", **more)


@contextmanager
def counted_openings() -> Iterator[list[str]]:
    """The names of the endpoints that were opened meanwhile."""
    opened: list[str] = []
    enter = Transport.__aenter__

    async def entered(transport: Transport) -> Transport:
        opened.append(transport.endpoint.name)
        return await enter(transport)

    with mock.patch.object(Transport, "__aenter__", entered):
        yield opened


async def solve(server: Server, **settings: Any) -> orchard.Answer:
    async with orchard.connect(policy=policy(server), prm=prm(server)) as models:
        return await orchard.solve(QUESTION, models, **{"strategy": SEARCH, **settings})


async def test_a_question_is_answered(server: Server) -> None:
    answer = await solve(server)
    assert answer.value in ("0", "1", "2") and answer.text and answer.value in answer.text
    assert 0.0 < answer.confidence <= 1.0
    assert len(answer.leaves) == 2 and all(leaf.scores for leaf in answer.leaves)
    assert (answer.ran_out, answer.error) == (None, None)


async def test_a_url_is_enough_where_a_server_serves_one_model() -> None:
    async with running(Server(models=("only",))) as server:
        with counted_openings() as opened:
            async with orchard.connect(policy=f"{server.url}/v1") as models:
                assert list(models.policies) == ["only"]
                assert opened == [f"{server.url}/v1"]
                answer = await orchard.solve(QUESTION, models, strategy=orchard.MajorityVoting(n=4))
        assert answer.value is not None


async def test_a_model_that_only_its_server_names_is_called_as_one_says() -> None:
    async with running(Server(models=("only",))) as server:
        unnamed = orchard.Policy(server.url, name="mine")
        async with orchard.connect(policy=unnamed) as models:
            assert list(models.policies) == ["mine"]
            answer = await orchard.solve(QUESTION, models, strategy=orchard.MajorityVoting(n=4))
        assert answer.value is not None
        assert {call.body["model"] for call in server.generated()} == {"only"}


async def test_where_it_serves_several_they_are_named(server: Server) -> None:
    with pytest.raises(orchard.ConfigError, match="serves policy, large, prm: name one with"):
        async with orchard.connect(policy=server.url):
            pass


class Marks(Task):
    """The number behind "by": not in a box."""

    instruction = Instruction(form='after the word "by"')

    async def extract(self, problem: orchard.Problem, text: str) -> str | None:
        _, found, mark = text.rpartition("by ")
        return mark.strip(".") if found else None

    async def same(self, problem: orchard.Problem, a: str, b: str) -> bool:
        return a == b


async def test_a_task_of_one_question_words_it_and_reads_its_answer(server: Server) -> None:
    whole = orchard.MajorityVoting(n=2)
    async with orchard.connect(policy=policy(server, prompt="qwen")) as models:
        marked = await orchard.solve(QUESTION, models, strategy=whole, task=Marks())
        asked = str(server.generated()[-1].body["messages"])
        boxed = await orchard.solve(QUESTION, models, strategy=whole)
    assert 'after the word "by"' in asked and "boxed" not in asked
    assert "boxed" in str(server.generated()[-1].body["messages"])
    assert marked.value and len(marked.value) > 1 and boxed.value in ("0", "1", "2")


async def test_at_the_deadline_the_answer_so_far_comes_back_and_requests_end_at_the_server(
    server: Server,
) -> None:
    async with orchard.connect(policy=policy(server), prm=prm(server)) as models:
        for path in (CHAT, COMPLETIONS):
            server.on(path, hang(), when=lambda body: body.get("max_tokens") == 24, forever=True)
        began = time.monotonic()
        limits = orchard.Limits(seconds=0.3)
        answer = await orchard.solve(QUESTION, models, strategy=SEARCH, limits=limits)
        assert 0.3 <= time.monotonic() - began < 5.0
        assert (answer.ran_out, answer.value) == ("seconds", None)
        await asyncio.sleep(0.2)
        assert server.in_flight == 0


async def test_a_limit_of_tokens_ends_a_search_with_what_it_has(server: Server) -> None:
    answer = await solve(server, limits=orchard.Limits(policy_tokens=25))
    assert answer.ran_out == "policy_tokens"
    assert answer.leaves and answer.spent.policy_tokens >= 20


async def test_a_limit_of_money_ends_a_search_with_what_it_has(server: Server) -> None:
    dear = orchard.Price(input=1000.0, output=1000.0)
    async with orchard.connect(
        policy=policy(server, price=dear), prm=prm(server, price=dear)
    ) as models:
        limits = orchard.Limits(cost=0.05)
        answer = await orchard.solve(QUESTION, models, strategy=SEARCH, limits=limits)
    assert answer.ran_out == "cost" and answer.leaves
    assert answer.spent.cost >= 0.05


async def test_a_limit_of_money_is_kept_where_only_the_policy_has_a_price(server: Server) -> None:
    priced = policy(server, price=orchard.Price(input=1000.0, output=1000.0))
    async with orchard.connect(policy=priced, prm=prm(server)) as models:
        limits = orchard.Limits(cost=0.02)
        answer = await orchard.solve(QUESTION, models, strategy=SEARCH, limits=limits)
    assert answer.ran_out == "cost"


async def test_what_a_server_does_in_a_way_of_its_own_is_logged_once_and_said_in_the_answer(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    def copies(answer: Any) -> None:
        first = answer["choices"][0]
        answer["choices"] = [{**first, "index": i} for i in range(len(answer["choices"]))]
        for choice in answer["choices"]:
            choice["message"] = {"role": "assistant", "content": r"It is \boxed{1}."}

    server.on(CHAT, changed(copies), forever=True)
    async with orchard.connect(policy=policy(server)) as models:
        for _ in range(2):
            answer = await orchard.solve(QUESTION, models, strategy=orchard.MajorityVoting(n=4))
    assert "samples" in answer.emulated
    assert caplog.text.count("its samples are copies") == 1


async def test_a_cancelled_call_ends_its_requests_at_the_server(server: Server) -> None:
    async with orchard.connect(policy=policy(server), prm=prm(server)) as models:
        for path in (CHAT, COMPLETIONS):
            server.on(path, hang(), forever=True)
        task = asyncio.ensure_future(orchard.solve(QUESTION, models, strategy=SEARCH))
        while not server.in_flight:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while server.in_flight:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert server.generated()[-1].left is not None


async def test_nothing_at_the_url_is_one_clear_error() -> None:
    with pytest.raises(orchard.EndpointUnavailable, match=r"http://127\.0\.0\.1:9"):
        async with orchard.connect(policy=orchard.Policy("http://127.0.0.1:9/v1", model="policy")):
            pass


@pytest.mark.parametrize("key", [None, "sk-wrong"])
async def test_a_wrong_key_is_one_clear_error_that_does_not_repeat_it(key: str | None) -> None:
    async with running(Server(key="sk-right")) as server:
        with pytest.raises(orchard.EndpointRefused, match="401") as caught:
            async with orchard.connect(policy=policy(server, api_key=key)):
                pass
    assert "sk-" not in str(caught.value)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


async def test_a_key_is_given_or_named_and_is_written_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-right")
    async with running(Server(key="sk-right")) as server:
        for key in ({"api_key": "sk-right"}, {"api_key_env": "MY_KEY"}):
            at = policy(server, **key)
            async with orchard.connect(policy=at) as models:
                problems = [orchard.Problem(id="p", question=QUESTION, answer="2")]
                runs = orchard.evaluate(problems, models, [orchard.CoT()], out=tmp_path)
                assert len([record async for record in runs]) == 1
            assert "sk-right" not in repr(at)
    assert not any(b"sk-right" in content for content in contents(tmp_path).values())


async def test_a_model_that_is_not_there_is_one_clear_error(server: Server) -> None:
    with pytest.raises(orchard.EndpointRefused, match="did you mean 'policy'"):
        async with orchard.connect(policy=orchard.Policy(server.url, model="polcy")):
            pass


async def test_an_endpoint_that_is_lost_on_the_way_is_said_in_the_answer(server: Server) -> None:
    impatient = policy(server, settings={"patience": 0})
    async with orchard.connect(policy=impatient, prm=prm(server)) as models:
        for path in (CHAT, COMPLETIONS):
            server.on(path, status(429, retry_after=3600), forever=True)
        answer = await orchard.solve(QUESTION, models, strategy=SEARCH)
    assert answer.value is None and answer.ran_out == "rate limit"
    assert answer.error and "429" in answer.error


async def test_a_hosted_model_is_asked_with_its_key_and_has_the_price_of_the_table() -> None:
    async with openai.running() as server:
        hosted = orchard.Policy(
            server.url, model="gpt-4o-mini", api_key=server.key, settings={"api": "openai"}
        )
        async with orchard.connect(policy=hosted) as models:
            answer = await orchard.solve(QUESTION, models, strategy=orchard.MajorityVoting(n=2))
    assert answer.spent.cost > 0.0


async def test_a_run_directory_of_the_library_is_the_command_lines(
    server: Server, tmp_path: Path
) -> None:
    problems = [
        orchard.Problem(id=f"p{i}", question=f"What is {i} + {i}?", answer="1") for i in range(3)
    ]
    async with orchard.connect(policy=policy(server), prm=prm(server)) as models:
        run = orchard.evaluate(problems, models, [SEARCH, orchard.CoT()], out=tmp_path / "x")
        assert len([record async for record in run]) == 6
    assert contents(tmp_path / "x").keys() == {
        "begun.json", "config.yaml", "journal.sqlite", "problems.jsonl", "records.jsonl",
        "summary.json", "versions.json",
    }  # fmt: skip
