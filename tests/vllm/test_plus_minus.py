"""PRMs that say "+" or "-" after a step: their authors' scores, and what each route costs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from orchestrator.core.node import Node
from orchestrator.endpoints.transport.transport import Transport
from servers.fleet.state import FleetState
from tests.benchmarks import prm_routes
from tests.vllm import golden, references, services
from tests.vllm.parity import SPREAD, TOLERANCE, spread, worst
from tests.vllm.product import Recorded, endpoint, score_stepwise, score_whole
from tests.vllm.references import Score
from tests.vllm.solutions import MARKED, NAMES, SOLUTIONS, Solution


@dataclass(frozen=True, slots=True)
class Way:
    """One way to the scores of one checkpoint; ``reference`` is the checkpoint's name."""

    family: str
    service: str
    reference: str
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return "-".join((self.family, *self.options.values()))


PREFIX, POOLING = {"route": "prefix"}, {"route": "pooling"}
MISTRAL_DATA = {"data": "mistral"}
WAYS = (
    Way("math_shepherd", "shepherd", "math_shepherd", PREFIX),
    Way("math_shepherd", "shepherd-pooling", "math_shepherd", POOLING),
    Way("rlhflow", "rlhflow", "rlhflow", PREFIX),
    Way("rlhflow", "rlhflow-pooling", "rlhflow", POOLING),
    Way("rlhflow", "rlhflow", "rlhflow_mistral", PREFIX | MISTRAL_DATA),
)
by_way = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
by_solution = pytest.mark.parametrize("solution", SOLUTIONS, ids=NAMES)


@pytest.fixture(scope="module")
def up(vllm_python: Path, checkpoints: dict[str, Path]) -> Iterator[FleetState]:
    with services.fleet(
        "plus-minus",
        vllm_python,
        *services.shepherd_twice(checkpoints["math_shepherd"]),
        *services.rlhflow_twice(checkpoints["rlhflow"]),
    ) as state:
        yield state


@pytest.fixture(scope="module")
def expected(checkpoints: dict[str, Path]) -> dict[str, Score]:
    return {
        "math_shepherd": references.math_shepherd(checkpoints["math_shepherd"]),
        "rlhflow": references.rlhflow(checkpoints["rlhflow"]),
        "rlhflow_mistral": references.rlhflow(checkpoints["rlhflow_mistral"]),
    }


async def scored(up: FleetState, way: Way, *solutions: Solution) -> list[Node]:
    async with Transport(endpoint(up.urls(way.service)[0], way.service)) as transport:
        return await score_whole(transport, way.family, solutions, **way.options)


@pytest.mark.parametrize("reference", ["math_shepherd", "rlhflow", "rlhflow_mistral"])
def test_the_scores_to_agree_on_differ_from_step_to_step(
    reference: str, expected: dict[str, Score]
) -> None:
    assert spread(expected[reference], SOLUTIONS) > SPREAD


@by_way
@by_solution
async def test_a_whole_solution_gets_the_scores_of_the_authors_code(
    way: Way, solution: Solution, up: FleetState, expected: dict[str, Score]
) -> None:
    (node,) = await scored(up, way, solution)
    assert worst(node.scores, expected[way.reference], solution) < TOLERANCE


@by_way
async def test_solutions_of_one_call_get_each_their_own_scores(
    way: Way, up: FleetState, expected: dict[str, Score]
) -> None:
    for node, solution in zip(await scored(up, way, *SOLUTIONS), SOLUTIONS, strict=True):
        assert worst(node.scores, expected[way.reference], solution) < TOLERANCE


@pytest.mark.parametrize("service", ["shepherd", "shepherd-pooling"])
async def test_the_route_is_found_where_none_is_named(
    service: str, up: FleetState, expected: dict[str, Score]
) -> None:
    way = Way("math_shepherd", service, "math_shepherd")
    (node,) = await scored(up, way, SOLUTIONS[0])
    assert worst(node.scores, expected[way.reference], SOLUTIONS[0]) < TOLERANCE


@by_way
async def test_a_search_that_scores_step_by_step_gets_the_same(
    way: Way, up: FleetState, expected: dict[str, Score]
) -> None:
    solution = SOLUTIONS[0]
    async with Transport(endpoint(up.urls(way.service)[0], way.service)) as transport:
        path = await score_stepwise(transport, way.family, solution, **way.options)
    assert [len(node.scores) for node in path] == list(range(1, len(solution.steps) + 1))
    assert worst(path[-1].scores, expected[way.reference], solution) < TOLERANCE


@by_way
async def test_marks_inside_a_step_add_no_scores_and_change_none_before_them(
    way: Way, up: FleetState, expected: dict[str, Score]
) -> None:
    (node,) = await scored(up, way, MARKED)
    assert len(node.scores) == len(MARKED.steps)
    clean = Solution(MARKED.name, MARKED.question, MARKED.steps[:2])
    assert worst(node.scores[:2], expected[way.reference], clean) < TOLERANCE


@by_way
async def test_vllm_is_asked_as_the_golden_files_say(
    way: Way, up: FleetState, expected: dict[str, Score]
) -> None:
    reference = expected[way.reference]
    async with Recorded(endpoint(up.urls(way.service)[0], way.service)) as transport:
        await score_whole(transport, way.family, golden.KEPT, **way.options)
    golden.check(way.name, way.family, way.options, transport.exchanges, reference)


async def test_a_search_by_prefixes_computes_a_third_of_what_whole_paths_take(
    up: FleetState, checkpoints: dict[str, Path]
) -> None:
    (prefix,), (pooling,) = up.urls("shepherd"), up.urls("shepherd-pooling")
    found = await prm_routes.compare(prefix, pooling, checkpoints["math_shepherd"])
    assert found["ratio"] <= 0.35, found
