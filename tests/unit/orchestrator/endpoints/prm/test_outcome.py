from typing import Any

import pytest

from orchestrator.endpoints.prm import OutcomePRM
from orchestrator.errors import BadResponse, ConfigError


async def test_every_step_carries_the_score_of_the_answer_so_far(
    scripted: Any, answers: Any, solution: Any
) -> None:
    transport = scripted(answers.pooling([0.7], tokens=9), answers.pooling([0.4]))
    prm = OutcomePRM(transport=transport)
    (node,) = await prm.score([solution()])
    assert (node.scores, node.prm_tokens) == ((0.7, 0.7), 9)
    (node,) = await prm.score([node.child(0, (" So 2.",))])
    assert node.scores == (0.4, 0.4, 0.4)


async def test_a_solution_is_a_chat_in_the_servers_own_template(
    scripted: Any, answers: Any, solution: Any
) -> None:
    transport = scripted(answers.pooling([0.7]), answers.pooling([0.6]))
    one, two = await OutcomePRM(transport=transport).score([solution(), solution(("a",), index=1)])
    assert (one.scores, two.scores) == ((0.7, 0.7), (0.6,))
    assert transport.sent[0].body == {
        "model": "m",
        "messages": [
            {"role": "user", "content": "What is 1 + 1?"},
            {"role": "assistant", "content": "Add them.\n\nIt is \\boxed{2}."},
        ],
    }


async def test_siblings_share_a_request_where_a_template_is_given(
    scripted: Any, answers: Any, solution: Any
) -> None:
    transport = scripted(answers.pooling([0.7], [0.6], tokens=9))
    prm = OutcomePRM(transport=transport, template="Q: {question} {x}\nA: {answer}")
    steps = (("{question}",), ("b",))
    scored = await prm.score([solution(each, index=i) for i, each in enumerate(steps)])
    assert [node.scores for node in scored] == [(0.7,), (0.6,)]
    assert [node.prm_tokens for node in scored] == [5, 4]
    assert transport.sent[0].body["input"] == [
        "Q: What is 1 + 1? {x}\nA: {question}",
        "Q: What is 1 + 1? {x}\nA: b",
    ]


@pytest.mark.parametrize("data", [[], [0.5, 0.5], [[0.5]]])
async def test_anything_but_one_score_is_a_bad_response(
    scripted_once: Any, answers: Any, solution: Any, data: list[Any]
) -> None:
    prm = OutcomePRM(transport=scripted_once(answers.pooling(data)))
    with pytest.raises(BadResponse, match="where an outcome reward model has one"):
        await prm.score([solution()])


@pytest.mark.parametrize(("score", "said"), [(3.2, "no probability"), (None, "NaN")])
async def test_a_score_that_is_no_probability_is_a_bad_response(
    scripted_once: Any, answers: Any, solution: Any, score: float | None, said: str
) -> None:
    prm = OutcomePRM(transport=scripted_once(answers.pooling([score])))
    with pytest.raises(BadResponse, match=said):
        await prm.score([solution()])


def test_a_template_without_an_answer_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match=r"template must hold \{answer\}"):
        OutcomePRM(transport=None, template="{question}")  # type: ignore[arg-type]
