"""The pooling route and what all PRMs share, by the family that is simplest to ask."""

from typing import Any

import pytest

from orchestrator.core.node import root
from orchestrator.endpoints.prm import MathShepherdPRM, QwenMathPRM, SkyworkPRM
from orchestrator.errors import BadResponse, ContextOverflow

OTHER = ("Double it.\n\n", r"So it is \boxed{2}.")
ROOT = root("What is 1 + 1?", seed=1, problem_id="p")


def pairs(*scores: Any) -> list[list[Any]]:
    """Rows of a two-class head, P(right) second."""
    return [[None if p is None else 1 - p, p] for p in scores]


async def test_siblings_are_scored_in_one_request_whatever_order_they_come_back_in(
    scripted: Any, answers: Any, solution: Any
) -> None:
    answer = answers.pooling(pairs(0.9, 0.8), pairs(0.7, 0.1), tokens=21)
    answer["data"].reverse()
    transport = scripted(answer)
    prm = QwenMathPRM(transport=transport)
    nodes = [solution(), solution(OTHER, index=1)]
    first, second = await prm.score(nodes)
    assert [first.scores, second.scores] == [(0.9, 0.8), (0.7, 0.1)]
    assert (first.prm_tokens, second.prm_tokens) == (10, 11)
    (sent,) = transport.sent
    assert sent.url == "http://host/pooling"
    texts = [prm.render(node.question, node.steps) for node in nodes]
    assert sent.body == {"model": "m", "input": texts}


async def test_tokens_the_server_had_cached_are_counted_apart(
    scripted: Any, answers: Any, solution: Any
) -> None:
    transport = scripted(
        answers.pooling(pairs(0.9, 0.8), pairs(0.7, 0.1), tokens=21, cached=13),
        answers.pooling(pairs(0.9, 0.8), tokens=21),
    )
    prm = QwenMathPRM(transport=transport)
    scored = await prm.score([solution(), solution(OTHER, index=1)])
    assert [node.prm_cached_tokens for node in scored] == [6, 7]
    (untold,) = await prm.score([solution()])
    assert (untold.prm_tokens, untold.prm_cached_tokens) == (21, 0)


async def test_a_running_minimum_reports_each_step_as_the_lowest_so_far(
    scripted: Any, answers: Any, solution: Any
) -> None:
    transport = scripted(answers.pooling(pairs(0.9, 0.4, 0.8, 0.3)))
    prm = QwenMathPRM(transport=transport, running_minimum=True)
    (scored,) = await prm.score([solution(("a", "b", "c", "d"))])
    assert scored.scores == (0.9, 0.4, 0.4, 0.3)


async def test_all_steps_are_scored_again_whatever_scores_they_have(
    scripted: Any, answers: Any, solution: Any
) -> None:
    (scored,) = await QwenMathPRM(transport=scripted(answers.pooling(pairs(0.5, 0.6)))).score(
        [solution(scores=(0.9,))]
    )
    assert scored.scores == (0.5, 0.6)


async def test_a_node_without_steps_comes_back_as_it_is_and_is_not_sent(
    scripted: Any, answers: Any, solution: Any
) -> None:
    transport = scripted(answers.pooling(pairs(0.9, 0.8)))
    prm = QwenMathPRM(transport=transport)
    empty, scored = await prm.score([ROOT, solution()])
    assert (empty, scored.scores) == (ROOT, (0.9, 0.8))
    assert await prm.score([ROOT]) == [ROOT]
    assert await prm.score([]) == []
    assert len(transport.sent) == 1


@pytest.mark.parametrize("scores", [(), (0.5,), (0.5, 0.5, 0.5)])
async def test_scores_that_are_not_one_a_step_are_a_bad_response(
    scripted_once: Any, answers: Any, solution: Any, scores: tuple[float, ...]
) -> None:
    prm = QwenMathPRM(transport=scripted_once(answers.pooling(pairs(*scores))))
    with pytest.raises(BadResponse, match=f"scored {len(scores)} steps of 2: is qwen_math the"):
        await prm.score([solution()])


async def test_a_missing_solution_is_a_bad_response(
    scripted_once: Any, answers: Any, solution: Any
) -> None:
    prm = QwenMathPRM(transport=scripted_once(answers.pooling(pairs(0.5, 0.5))))
    with pytest.raises(BadResponse, match="scored 0 steps of 2"):
        await prm.score([solution(), solution(OTHER, index=1)])


@pytest.mark.parametrize("row", [[0.5], [], [0.2, 0.3, 0.5], 0.5, None])
async def test_rows_of_another_width_are_a_bad_response(
    scripted_once: Any, answers: Any, solution: Any, row: Any
) -> None:
    prm = QwenMathPRM(transport=scripted_once(answers.pooling([[0.5, 0.5], row])))
    with pytest.raises(BadResponse, match="rows that are not pairs of probabilities"):
        await prm.score([solution()])


@pytest.mark.parametrize("row", [[-2.5, 3.5], [0.0, -0.1], [0.0, 1.01]])
async def test_a_score_that_is_no_probability_is_a_bad_response(
    scripted_once: Any, answers: Any, solution: Any, row: list[float]
) -> None:
    prm = QwenMathPRM(transport=scripted_once(answers.pooling([[0.5, 0.5], row])))
    with pytest.raises(BadResponse, match="which is no probability"):
        await prm.score([solution()])


async def test_a_null_is_named_as_the_nan_it_was(
    scripted_once: Any, answers: Any, solution: Any
) -> None:
    prm = QwenMathPRM(transport=scripted_once(answers.pooling(pairs(0.5, None))))
    with pytest.raises(BadResponse, match=r"no number \(NaN\) for a score"):
        await prm.score([solution()])


@pytest.mark.parametrize("score", [float("nan"), float("inf"), "0.5"])
async def test_what_json_cannot_hold_is_a_bad_response(
    scripted: Any, answers: Any, solution: Any, score: object
) -> None:
    answer = answers.pooling([[0.5, 0.5], [0.5, score]])
    with pytest.raises(BadResponse):
        await QwenMathPRM(transport=scripted(*[answer] * 3)).score([solution()])


async def test_one_solution_too_long_for_the_prm_ends_alone(
    scripted: Any, answers: Any, solution: Any
) -> None:
    too_long = ContextOverflow("maximum context length", url="")
    transport = scripted(
        too_long,
        answers.pooling(pairs(0.9, 0.8)),
        too_long,
        answers.pooling(pairs(0.7, 0.6)),
    )
    nodes = [solution(("Add.", f"It is {i}."), index=i) for i in range(3)]
    scored = await QwenMathPRM(transport=transport).score(nodes)
    assert [node.finish for node in scored] == [None, "overflow", None]
    assert [node.scores for node in scored] == [(0.9, 0.8), (), (0.7, 0.6)]
    assert [len(sent.body["input"]) for sent in transport.sent] == [3, 1, 1, 1]


@pytest.mark.parametrize("rows", [[], [[0.5]] * 5, [[0.5]] * 7])
async def test_a_row_for_every_token_is_what_token_scores_need(
    scripted_once: Any, answers: Any, solution: Any, rows: list[list[float]]
) -> None:
    ids = [answers.tokenize(*ids) for ids in ((1, 2), (9,), (5,))]
    prm = SkyworkPRM(transport=scripted_once(*ids, answers.pooling(rows)))
    with pytest.raises(BadResponse, match=rf"scored {len(rows)} of 6 tokens.*token_classify"):
        await prm.score([solution(("a", "a"))])


async def test_the_family_says_which_probability_is_the_score(
    scripted: Any, answers: Any, solution: Any
) -> None:
    answer = answers.pooling([[0.75, 0.25], [0.0, 1.0]])
    (qwen,) = await QwenMathPRM(transport=scripted(answer)).score([solution()])
    shepherd = MathShepherdPRM(transport=scripted(answer), route="pooling")
    (node,) = await shepherd.score([solution()])
    assert (qwen.scores, node.scores) == ((0.25, 1.0), (0.75, 0.0))
