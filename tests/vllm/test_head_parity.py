"""PRMs with a head of their own, behind ``/pooling``, against their authors' code."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.core.node import Node
from orchestrator.endpoints.transport.transport import Transport
from servers.fleet.convert import converted
from servers.fleet.spec import ModelSpec
from servers.fleet.state import FleetState
from tests.vllm import golden, references, services
from tests.vllm.models import CONTEXT
from tests.vllm.parity import SPREAD, TOLERANCE, spread, worst
from tests.vllm.product import Recorded, endpoint, score_stepwise, score_whole
from tests.vllm.references import Score
from tests.vllm.solutions import MARKED, NAMES, SOLUTIONS, Solution

STEPWISE = ("qwen_math", "skywork", "trl")
FAMILIES = (*STEPWISE, "outcome")
by_family = pytest.mark.parametrize("family", FAMILIES)
by_solution = pytest.mark.parametrize("solution", SOLUTIONS, ids=NAMES)


@pytest.fixture(scope="module")
def up(
    vllm_python: Path, checkpoints: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FleetState]:
    skywork = ModelSpec(
        name="skywork",
        source=str(checkpoints["skywork"]),
        role="prm",
        context=CONTEXT,
        convert="value_head",
    )
    with services.fleet(
        "heads",
        vllm_python,
        services.qwen_math("qwen_math", checkpoints["qwen_math"]),
        services.token_scores("skywork", converted(skywork, tmp_path_factory.mktemp("converted"))),
        services.token_scores("trl", checkpoints["trl"], "Qwen2ForSequenceClassification"),
        services.outcome("outcome", checkpoints["outcome"]),
    ) as state:
        yield state


@pytest.fixture(scope="module")
def expected(checkpoints: dict[str, Path]) -> dict[str, Score]:
    return {family: getattr(references, family)(checkpoints[family]) for family in FAMILIES}


async def scored(up: FleetState, family: str, *solutions: Solution) -> list[Node]:
    async with Transport(endpoint(up.urls(family)[0], family)) as transport:
        return await score_whole(transport, family, solutions)


@by_family
def test_the_scores_to_agree_on_differ(family: str, expected: dict[str, Score]) -> None:
    assert spread(expected[family], SOLUTIONS) > SPREAD


@by_family
@by_solution
async def test_a_whole_solution_gets_the_scores_of_the_authors_code(
    family: str, solution: Solution, up: FleetState, expected: dict[str, Score]
) -> None:
    (node,) = await scored(up, family, solution)
    assert worst(node.scores, expected[family], solution) < TOLERANCE


@by_family
async def test_solutions_of_one_call_get_each_their_own_scores(
    family: str, up: FleetState, expected: dict[str, Score]
) -> None:
    for node, solution in zip(await scored(up, family, *SOLUTIONS), SOLUTIONS, strict=True):
        assert worst(node.scores, expected[family], solution) < TOLERANCE


@by_family
async def test_a_search_that_scores_step_by_step_gets_the_same(
    family: str, up: FleetState, expected: dict[str, Score]
) -> None:
    solution = SOLUTIONS[0]
    async with Transport(endpoint(up.urls(family)[0], family)) as transport:
        path = await score_stepwise(transport, family, solution)
    for node in path:
        so_far = Solution(solution.name, solution.question, node.steps)
        assert worst(node.scores, expected[family], so_far) < TOLERANCE


@pytest.mark.parametrize("family", STEPWISE)
async def test_marks_inside_a_step_add_no_scores_and_change_none_before_them(
    family: str, up: FleetState, expected: dict[str, Score]
) -> None:
    (node,) = await scored(up, family, MARKED)
    assert len(node.scores) == len(MARKED.steps)
    clean = Solution(MARKED.name, MARKED.question, MARKED.steps[:2])
    assert worst(node.scores[:2], expected[family], clean) < TOLERANCE


@by_family
async def test_vllm_is_asked_as_the_golden_files_say(
    family: str, up: FleetState, expected: dict[str, Score]
) -> None:
    async with Recorded(endpoint(up.urls(family)[0], family)) as transport:
        await score_whole(transport, family, golden.KEPT)
    golden.check(family, family, {}, transport.exchanges, expected[family])
