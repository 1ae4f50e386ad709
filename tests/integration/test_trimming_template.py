"""The embedded server with a chat template that trims, against the same one with its own."""

import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from orchestrator.core.node import Node, root
from orchestrator.core.ports import Sampling
from orchestrator.endpoints.policies.http_policy import ChatPolicy, HttpPolicy, TokenPolicy
from orchestrator.endpoints.policies.led import LedPolicy
from orchestrator.endpoints.policies.rendered import RenderedPolicy
from orchestrator.endpoints.probing.probe import probe_policy
from orchestrator.endpoints.transport.transport import Endpoint, Transport
from orchestrator.tasks.math.task import MathTask
from orchestrator.tasks.prompts import PROMPTS
from servers.tiny.launch import Spec, serve
from servers.tiny.problems import held_out
from servers.tiny.shipped import shipped_models
from servers.tiny.tokenizer import CHATML

MODEL = "policy-2m"
LIKELIEST = Sampling(temperature=0.0, max_tokens=64)
QUESTIONS = [chain.question for chain in held_out(4, seed=3)]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    trimming: Path = tmp_path_factory.mktemp("models") / "trimming"
    shutil.copytree(shipped_models()[MODEL], trimming)
    template = CHATML.replace("message['content']", "(message['content'] | trim)")
    (trimming / "chat_template.jinja").write_text(template)
    with serve(Spec(models={"keeping": shipped_models()[MODEL], "trimming": trimming})) as (one,):
        yield one.url


@asynccontextmanager
async def policy(url: str, model: str, kind: type[HttpPolicy]) -> AsyncIterator[HttpPolicy]:
    async with Transport(Endpoint(urls=(url,), model=model)) as transport:
        yield kind(transport, PROMPTS["tiny"].asking(MathTask.instruction))


async def solved(url: str, model: str, kind: type[HttpPolicy]) -> list[tuple[str, ...]]:
    """The likeliest solution of each question, step by step."""
    solutions = []
    async with policy(url, model, kind) as asked:
        for question in QUESTIONS:
            node: Node = root(question, seed=1, problem_id=question)
            while not node.is_finished and len(node.steps) < 8:
                (node,) = await asked.extend(node, 1, LIKELIEST)
            solutions.append(node.steps)
    return solutions


async def test_a_trimming_template_loses_every_step_and_both_repairs_find_them_again(
    url: str,
) -> None:
    as_trained = await solved(url, "keeping", TokenPolicy)
    assert all(len(steps) > 2 for steps in as_trained)
    assert await solved(url, "keeping", ChatPolicy) == as_trained
    assert all(steps[1] == "\n\n" for steps in await solved(url, "trimming", ChatPolicy))
    assert await solved(url, "trimming", RenderedPolicy) == as_trained
    assert await solved(url, "trimming", LedPolicy) == as_trained


@pytest.mark.parametrize(("model", "by"), [("keeping", "chat"), ("trimming", "rendered")])
async def test_the_probe_tells_them_apart(url: str, model: str, by: str) -> None:
    async with Transport(Endpoint(urls=(url,), model=model)) as transport:
        assert (await probe_policy(transport, by_ids=False)).continuation == by
        assert (await probe_policy(transport)).continuation == "tokens"
