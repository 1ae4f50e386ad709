"""PRMs that say "+" or "-" after a step, by both routes, against their authors' code."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.endpoints.transport import Transport
from servers.fleet.state import FleetState
from tests.vllm import references, services
from tests.vllm.parity import SPREAD, TOLERANCE, spread, worst
from tests.vllm.product import endpoint, score_stepwise, score_whole
from tests.vllm.references import Score
from tests.vllm.solutions import NAMES, SOLUTIONS, Solution

SERVICES = {  # by its name: the family and how it is asked
    "shepherd": ("math_shepherd", {"route": "prefix"}),
    "shepherd-pooling": ("math_shepherd", {"route": "pooling"}),
    "rlhflow": ("rlhflow", {"route": "prefix"}),
}
by_service = pytest.mark.parametrize("service", SERVICES)
by_solution = pytest.mark.parametrize("solution", SOLUTIONS, ids=NAMES)


@pytest.fixture(scope="module")
def up(vllm_python: Path, checkpoints: dict[str, Path]) -> Iterator[FleetState]:
    shepherd, rlhflow = checkpoints["math_shepherd"], checkpoints["rlhflow"]
    with services.fleet(
        "plus-minus",
        vllm_python,
        *services.both_routes(shepherd),
        services.generating("rlhflow", rlhflow),
    ) as state:
        yield state


@pytest.fixture(scope="module")
def expected(checkpoints: dict[str, Path]) -> dict[str, Score]:
    return {
        "math_shepherd": references.math_shepherd(checkpoints["math_shepherd"]),
        "rlhflow": references.rlhflow(checkpoints["rlhflow"]),
    }


def transport(up: FleetState, service: str) -> Transport:
    return Transport(endpoint(up.urls(service)[0], service))


@pytest.mark.parametrize("family", ["math_shepherd", "rlhflow"])
def test_the_scores_to_agree_on_differ_from_step_to_step(
    family: str, expected: dict[str, Score]
) -> None:
    assert spread(expected[family], SOLUTIONS) > SPREAD


@by_service
@by_solution
async def test_whole_solutions_get_the_scores_of_the_authors_code(
    service: str, solution: Solution, up: FleetState, expected: dict[str, Score]
) -> None:
    family, options = SERVICES[service]
    async with transport(up, service) as sent:
        (node,) = await score_whole(sent, family, [solution], **options)
    assert worst(node.scores, expected[family], solution) < TOLERANCE


@by_service
async def test_siblings_in_one_call_get_each_their_own_scores(
    service: str, up: FleetState, expected: dict[str, Score]
) -> None:
    family, options = SERVICES[service]
    async with transport(up, service) as sent:
        nodes = await score_whole(sent, family, SOLUTIONS, **options)
    for node, solution in zip(nodes, SOLUTIONS, strict=True):
        assert worst(node.scores, expected[family], solution) < TOLERANCE


@by_service
@by_solution
async def test_a_search_that_scores_step_by_step_gets_the_same(
    service: str, solution: Solution, up: FleetState, expected: dict[str, Score]
) -> None:
    family, options = SERVICES[service]
    async with transport(up, service) as sent:
        path = await score_stepwise(sent, family, solution, **options)
    assert [len(node.scores) for node in path] == list(range(1, len(solution.steps) + 1))
    assert worst(path[-1].scores, expected[family], solution) < TOLERANCE


@by_service
async def test_the_route_is_found_where_none_is_named(
    service: str, up: FleetState, expected: dict[str, Score]
) -> None:
    family, _ = SERVICES[service]
    async with transport(up, service) as sent:
        (node,) = await score_whole(sent, family, SOLUTIONS[:1])
    assert worst(node.scores, expected[family], SOLUTIONS[0]) < TOLERANCE
