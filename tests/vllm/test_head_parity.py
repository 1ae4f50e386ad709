"""PRMs with a head of their own, behind ``/pooling``, against their authors' code."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.endpoints.transport import Transport
from servers.fleet.convert import converted
from servers.fleet.spec import ModelSpec
from servers.fleet.state import FleetState
from tests.vllm import references, services
from tests.vllm.parity import SPREAD, TOLERANCE, spread, worst
from tests.vllm.product import endpoint, score_stepwise, score_whole
from tests.vllm.references import Score
from tests.vllm.solutions import NAMES, SOLUTIONS, Solution

FAMILIES = ("qwen_math", "skywork", "trl", "outcome")
by_family = pytest.mark.parametrize("family", FAMILIES)
by_solution = pytest.mark.parametrize("solution", SOLUTIONS, ids=NAMES)


@pytest.fixture(scope="module")
def up(
    vllm_python: Path, checkpoints: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FleetState]:
    skywork = ModelSpec(
        name="skywork", source=str(checkpoints["skywork"]), role="prm", context=2048,
        convert="value_head",
    )  # fmt: skip
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


def transport(up: FleetState, family: str) -> Transport:
    return Transport(endpoint(up.urls(family)[0], family))


@by_family
def test_the_scores_to_agree_on_differ_from_step_to_step(
    family: str, expected: dict[str, Score]
) -> None:
    assert spread(expected[family], SOLUTIONS) > SPREAD


@by_family
@by_solution
async def test_whole_solutions_get_the_scores_of_the_authors_code(
    family: str, solution: Solution, up: FleetState, expected: dict[str, Score]
) -> None:
    async with transport(up, family) as sent:
        (node,) = await score_whole(sent, family, [solution])
    assert worst(node.scores, expected[family], solution) < TOLERANCE


@by_family
async def test_siblings_in_one_call_get_each_their_own_scores(
    family: str, up: FleetState, expected: dict[str, Score]
) -> None:
    async with transport(up, family) as sent:
        nodes = await score_whole(sent, family, SOLUTIONS)
    for node, solution in zip(nodes, SOLUTIONS, strict=True):
        assert worst(node.scores, expected[family], solution) < TOLERANCE


@by_family
async def test_a_search_that_scores_step_by_step_gets_the_same(
    family: str, up: FleetState, expected: dict[str, Score]
) -> None:
    solution = SOLUTIONS[0]
    async with transport(up, family) as sent:
        path = await score_stepwise(sent, family, solution)
    for node in path:
        so_far = Solution(solution.name, solution.question, node.steps)
        if family == "outcome":  # a step keeps the score of the answer as far as it had come
            assert node.scores[:-1] == path[len(node.steps) - 2].scores[: len(node.steps) - 1]
            reached = expected[family](so_far.question, so_far.steps)[-1]
            assert abs(node.scores[-1] - reached) < TOLERANCE
        else:
            assert worst(node.scores, expected[family], so_far) < TOLERANCE
