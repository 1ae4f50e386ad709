from typing import Any

import pytest

from orchestrator.core.tree import Node, root
from orchestrator.endpoints.prm import PRM_FAMILIES, MathShepherdPRM, QwenMathPRM
from orchestrator.errors import BadResponse, ContextOverflow

ROOT = root("What is 1 + 1?", seed=1, problem_id="p")
STEPS = ("Add them.\n\n", r"It is \boxed{2}.")


def solution(index: int = 0, steps: tuple[str, ...] = STEPS) -> Node:
    return ROOT.child(index, steps, finish="stop")


def rows(*solutions: list[Any], tokens: int = 0) -> dict[str, Any]:
    """An answer of /pooling: for each solution the P(right) of its steps, in Qwen's column."""
    data = [
        {"index": i, "object": "pooling", "data": [[1 - p, p] for p in scores]}
        for i, scores in enumerate(solutions)
    ]
    return {"model": "m", "data": data, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}


def test_qwen_reads_chatml_with_a_tag_after_every_step() -> None:
    assert QwenMathPRM(transport=None).render("What is 1 + 1?", STEPS) == (  # type: ignore[arg-type]
        "<|im_start|>system\n"
        "Please reason step by step, and put your final answer within \\boxed{}.<|im_end|>\n"
        "<|im_start|>user\nWhat is 1 + 1?<|im_end|>\n"
        "<|im_start|>assistant\nAdd them.<extra_0>It is \\boxed{2}.<extra_0><|im_end|>\n"
    )


def test_qwen_leaves_the_system_message_out_where_told() -> None:
    prm = QwenMathPRM(transport=None, system=None)  # type: ignore[arg-type]
    assert prm.render("q", ("a",)) == (
        "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\na<extra_0><|im_end|>\n"
    )


def test_math_shepherd_reads_steps_that_end_with_its_tag() -> None:
    prm = MathShepherdPRM(transport=None)  # type: ignore[arg-type]
    assert prm.render("What is 1 + 1?", STEPS) == (
        "What is 1 + 1? Add them. ки\nIt is \\boxed{2}. ки\n"
    )


def test_every_family_says_which_column_is_right() -> None:
    assert {name: family.column for name, family in PRM_FAMILIES.items()} == {
        "qwen_math": 1,
        "math_shepherd": 0,
    }


async def test_siblings_are_scored_in_one_request_whatever_order_they_come_back_in(
    scripted: Any,
) -> None:
    answer = rows([0.9, 0.8], [0.7, 0.1], tokens=21)
    answer["data"].reverse()
    transport = scripted(answer)
    prm = QwenMathPRM(transport=transport)
    first, second = await prm.score([solution(0), solution(1)])
    assert [first.scores, second.scores] == [(0.9, 0.8), (0.7, 0.1)]
    assert (first.prm_tokens, second.prm_tokens) == (11, 10)
    (sent,) = transport.sent
    assert sent.url == "http://host/pooling"
    assert sent.body == {"model": "m", "input": [prm.render(ROOT.question, STEPS)] * 2}


async def test_the_family_decides_which_probability_is_the_score(scripted: Any) -> None:
    (node,) = await MathShepherdPRM(transport=scripted(rows([0.25, 1.0]))).score([solution()])
    assert node.scores == (0.75, 0.0)


async def test_a_running_minimum_reports_each_step_as_the_lowest_so_far(scripted: Any) -> None:
    node = solution(steps=("a", "b", "c", "d"))
    prm = QwenMathPRM(transport=scripted(rows([0.9, 0.4, 0.8, 0.3])), running_minimum=True)
    (scored,) = await prm.score([node])
    assert scored.scores == (0.9, 0.4, 0.4, 0.3)


async def test_a_node_without_steps_comes_back_as_it_is_and_is_not_sent(scripted: Any) -> None:
    transport = scripted(rows([0.9, 0.8]))
    prm = QwenMathPRM(transport=transport)
    empty, scored = await prm.score([ROOT, solution()])
    assert (empty, scored.scores) == (ROOT, (0.9, 0.8))
    assert await prm.score([ROOT]) == [ROOT]
    assert await prm.score([]) == []
    assert len(transport.sent) == 1


@pytest.mark.parametrize("scores", [[], [0.5], [0.5, 0.5, 0.5]])
async def test_scores_that_are_not_one_a_step_are_a_bad_response(
    scripted: Any, scores: list[float]
) -> None:
    with pytest.raises(BadResponse, match=f"scored {len(scores)} steps of 2: is QwenMathPRM"):
        await QwenMathPRM(transport=scripted(rows(scores))).score([solution()])


async def test_a_missing_solution_is_a_bad_response(scripted: Any) -> None:
    with pytest.raises(BadResponse, match="scored 0 steps of 2"):
        await QwenMathPRM(transport=scripted(rows([0.5, 0.5]))).score([solution(0), solution(1)])


@pytest.mark.parametrize("row", [[0.5], [], [0.2, 0.3, 0.5], [-1.25, 3.5], [0.0, -0.1]])
async def test_rows_that_are_not_pairs_of_probabilities_are_a_bad_response(
    scripted: Any, row: list[float]
) -> None:
    answer = rows([0.5, 0.5])
    answer["data"][0]["data"][1] = row
    with pytest.raises(BadResponse, match="not pairs of probabilities"):
        await QwenMathPRM(transport=scripted(answer)).score([solution()])


@pytest.mark.parametrize("score", [float("nan"), float("inf"), None, "0.5"])
async def test_a_score_that_is_no_number_is_a_bad_response(scripted: Any, score: object) -> None:
    answer = rows([0.5, 0.5])
    answer["data"][0]["data"][1] = [0.5, score]
    with pytest.raises(BadResponse):
        await QwenMathPRM(transport=scripted(answer, answer, answer)).score([solution()])


async def test_one_solution_too_long_for_the_prm_ends_alone(scripted: Any) -> None:
    too_long = ContextOverflow("maximum context length", url="")
    transport = scripted(too_long, rows([0.9, 0.8]), too_long, rows([0.7, 0.6]))
    nodes = [ROOT.child(i, STEPS) for i in range(3)]
    scored = await QwenMathPRM(transport=transport).score(nodes)
    assert [node.finish for node in scored] == [None, "overflow", None]
    assert [node.scores for node in scored] == [(0.9, 0.8), (), (0.7, 0.6)]
    assert [len(sent.body["input"]) for sent in transport.sent] == [3, 1, 1, 1]
