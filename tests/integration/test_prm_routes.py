"""Both routes to a "+"/"-" PRM's scores, over real HTTP to the embedded server."""

from collections.abc import AsyncIterator, Iterator
from itertools import pairwise

import pytest

from orchestrator.core.node import Node, root
from orchestrator.endpoints.prm import MathShepherdPRM, prms_by_route
from orchestrator.endpoints.probing.probe import probe_prm
from orchestrator.endpoints.transport.transport import Endpoint, Transport
from servers.tiny.launch import Spec, serve
from servers.tiny.random_weights import write_random_model

QUESTION = "Start with 10. Then A + 76. Then B * 3. What is the result?"
STEPS = ("Step A + 76: 10 + 76 = 86\n\n", "Step B * 3: 86 * 3 = 58\n\n", r"So $\boxed{58}$.")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = write_random_model(tmp_path_factory.mktemp("models") / "prm", "shepherd-prm")
    with serve(Spec(models={"prm": folder})) as (server,):
        yield server.url


@pytest.fixture
async def transport(url: str) -> AsyncIterator[Transport]:
    async with Transport(Endpoint(urls=(url,), model="prm")) as opened:
        yield opened


def finished(name: str) -> Node:
    return root(f"{name}: {QUESTION}", seed=1, problem_id="p").child(0, STEPS, finish="stop")


async def stepwise(prm: MathShepherdPRM, name: str) -> list[Node]:
    """A path as a search scores it: each step when it is taken."""
    node, path = root(f"{name}: {QUESTION}", seed=1, problem_id="p"), []
    for step in STEPS:
        (node,) = await prm.score([node.child(0, (step,))])
        path.append(node)
    return path


async def test_both_routes_give_the_same_scores_and_a_probe_finds_the_first(
    transport: Transport,
) -> None:
    prms = prms_by_route("math_shepherd", transport)
    pooled, prefixed = [
        (await prms[route].score([finished("a")]))[0].scores for route in ("pooling", "prefix")
    ]
    assert len(set(pooled)) == len(STEPS)
    assert prefixed == pytest.approx(pooled, abs=1e-6)
    assert (await probe_prm(transport, prms)).scored_by == "pooling"


async def test_a_path_scored_step_by_step_has_the_scores_of_the_whole(
    transport: Transport,
) -> None:
    prm = MathShepherdPRM(transport=transport, route="prefix")
    path = await stepwise(prm, "b")
    (whole,) = await prm.score([finished("b")])
    assert path[-1].scores == pytest.approx(whole.scores, abs=1e-6)


async def test_a_new_step_reads_the_path_before_it_from_the_prefix_cache(
    transport: Transport,
) -> None:
    path = await stepwise(MathShepherdPRM(transport=transport, route="prefix"), "c")
    for before, node in pairwise(path):
        assert before.prm_tokens - 8 < node.prm_cached_tokens <= before.prm_tokens
        assert node.prm_tokens > before.prm_tokens
