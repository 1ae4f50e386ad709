"""Searches on the embedded server, which is real."""

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from statistics import fmean

import pytest

from orchestrator.core.fanout import fan_out
from orchestrator.core.node import Node
from orchestrator.core.ports import PRM, Models, Policy, Sampling
from orchestrator.endpoints.policies.http_policy import ChatPolicy, HttpPolicy, TokenPolicy
from orchestrator.endpoints.prm import MathShepherdPRM, QwenMathPRM
from orchestrator.endpoints.transport.transport import Endpoint, Transport
from orchestrator.strategies import DVTS, BeamSearch
from orchestrator.tasks.math.task import MathTask
from orchestrator.tasks.prompts import PROMPTS
from servers.tiny.launch import Spec, serve
from servers.tiny.random_weights import write_random_model
from tests.integration.ports import STEP, problem

SEPARATOR = "1"
"""Random weights write no blank lines; this many of their tokens hold, so that steps do end."""


@pytest.fixture(scope="module")
def tiny_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("models")
    models = {
        "policy": write_random_model(folder / "policy", "policy"),
        "qwen": write_random_model(folder / "qwen", "qwen-prm"),
        "shepherd": write_random_model(folder / "shepherd", "shepherd-prm"),
    }
    with serve(Spec(models=models)) as (server,):
        yield server.url


@asynccontextmanager
async def tiny_ports(
    url: str, kind: type[HttpPolicy], family: type[QwenMathPRM] | type[MathShepherdPRM]
) -> AsyncIterator[tuple[HttpPolicy, PRM]]:
    served = "qwen" if family is QwenMathPRM else "shepherd"
    async with (
        Transport(Endpoint(urls=(url,), model="policy")) as to_policy,
        Transport(Endpoint(urls=(url,), model=served)) as to_prm,
    ):
        yield (
            kind(to_policy, PROMPTS["tiny"].asking(MathTask.instruction), SEPARATOR),
            family(transport=to_prm, route="pooling")
            if family is MathShepherdPRM
            else family(transport=to_prm),
        )


FAMILIES = [(TokenPolicy, QwenMathPRM), (ChatPolicy, MathShepherdPRM)]
SEARCHES = [
    BeamSearch(n=4, width=2, max_depth=3, max_tokens=24),
    DVTS(n=4, width=2, max_depth=3, max_tokens=24),
]


@pytest.mark.parametrize(("kind", "family"), FAMILIES)
@pytest.mark.parametrize("search", SEARCHES, ids=["beam search", "DVTS"])
async def test_searches_run_to_their_end_on_the_embedded_server(
    tiny_url: str,
    kind: type[HttpPolicy],
    family: type[QwenMathPRM] | type[MathShepherdPRM],
    search: BeamSearch | DVTS,
) -> None:
    async with tiny_ports(tiny_url, kind, family) as (policy, prm):
        leaves = await search(problem(), Models(policy, prm))
    assert 1 <= len(leaves) <= 2
    assert any(leaf.finish in ("depth", "stop") for leaf in leaves)
    for leaf in leaves:
        assert leaf.is_finished
        assert len(leaf.scores) == len(leaf.steps) <= 3
        assert all(0 < score < 1 for score in leaf.scores)
        assert all(step.endswith(SEPARATOR) for step in leaf.steps[:-1])


async def test_both_policies_draw_the_same_first_steps(tiny_url: str) -> None:
    drawn = []
    for kind, family in FAMILIES:
        async with tiny_ports(tiny_url, kind, family) as (policy, _):
            children = await policy.extend(problem(), 6, STEP)
        drawn.append([replace(child, token_ids=None, cached_tokens=0) for child in children])
    assert [(c.steps, c.seed, c.path, c.finish) for c in drawn[0]] == [
        (c.steps, c.seed, c.path, c.finish) for c in drawn[1]
    ]
    assert len({child.steps for child in drawn[0]}) > 1


async def test_the_same_seed_grows_the_same_trees_at_any_concurrency(tiny_url: str) -> None:
    search = BeamSearch(n=6, width=3, max_depth=3, max_tokens=24)

    async def one(i: int, policy: Policy, prm: PRM) -> list[Node]:
        return await search(problem(f"p{i}"), Models(policy, prm))

    async with tiny_ports(tiny_url, TokenPolicy, QwenMathPRM) as (policy, prm):
        alone = [await one(i, policy, prm) for i in range(6)]
        together = await fan_out(one(i, policy, prm) for i in range(6))
    pairs = list(
        zip(
            itertools.chain.from_iterable(alone),
            itertools.chain.from_iterable(together),
            strict=True,
        )
    )
    for first, second in pairs:
        assert (first.path, first.steps, first.finish) == (second.path, second.steps, second.finish)
        assert first.token_ids == second.token_ids
        assert first.scores == pytest.approx(second.scores, abs=1e-5)
    assert any(len(first.steps) == 3 for first, _ in pairs)


@pytest.mark.parametrize(("kind", "family"), FAMILIES)
async def test_a_sample_tells_how_likely_it_was_where_it_is_asked(
    tiny_url: str,
    kind: type[HttpPolicy],
    family: type[QwenMathPRM] | type[MathShepherdPRM],
) -> None:
    greedy = Sampling(temperature=0.0, max_tokens=12, until="end")
    asked = replace(greedy, logprobs=True, question_logprob=True)
    async with tiny_ports(tiny_url, kind, family) as (policy, _):
        (silent,) = await policy.extend(problem(), 1, greedy)
        (told,) = await policy.extend(problem(), 1, asked)
        drawn = await policy.extend(problem(), 8, replace(asked, temperature=1.0))
        (again,) = await policy.extend(problem(), 1, asked)
    assert silent.confidence is None
    assert told.confidence is not None and told.confidence.mean < 0
    assert told.steps == silent.steps
    means = [each.confidence.mean for each in drawn if each.confidence]
    assert len(means) == len(drawn) and len(set(means)) > 1
    assert told.confidence.mean > fmean(means)
    assert silent.question_logprob is None
    assert told.question_logprob is not None and told.question_logprob < 0
    assert {each.question_logprob for each in drawn} == {drawn[0].question_logprob}
    assert again.question_logprob == pytest.approx(told.question_logprob, abs=1e-4)
