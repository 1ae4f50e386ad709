from typing import Any

import pytest

from orchestrator.endpoints.prm import TRLPRM
from orchestrator.errors import ConfigError


async def test_class_one_is_read_at_the_last_token_of_every_separator(
    scripted: Any, answers: Any, solution: Any
) -> None:
    rows = [[1.0, 0.0]] * 3 + [[0.2, 0.8]] + [[1.0, 0.0]] * 2 + [[0.7, 0.3]]
    transport = scripted(
        answers.tokenize(1),
        answers.tokenize(8, 9),
        answers.tokenize(2),
        answers.tokenize(3),
        answers.pooling(rows, tokens=7),
    )
    prm = TRLPRM(transport=transport, step_separator="\n\n")
    (node,) = await prm.score([solution()])
    assert node.scores == (0.8, 0.3)
    *tokenized, pooling = transport.sent
    assert [sent.body["prompt"] for sent in tokenized] == [
        "What is 1 + 1?", "\n\n", "Add them.", r"It is \boxed{2}.",
    ]  # fmt: skip
    assert pooling.body == {"model": "m", "input": [[1, 2, 8, 9, 3, 8, 9]]}


async def test_a_tokenizers_beginning_of_a_text_comes_first_where_given(
    scripted: Any, answers: Any, solution: Any
) -> None:
    rows = [[0.5, 0.5]] * 4
    transport = scripted(*map(answers.tokenize, (7, 1, 8, 2)), answers.pooling(rows))
    await TRLPRM(transport=transport, bos="<s>").score([solution(("a",))])
    assert transport.sent[-1].body["input"] == [[7, 1, 2, 8]]


def test_an_empty_separator_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="step_separator must not be empty"):
        TRLPRM(transport=None, step_separator="")  # type: ignore[arg-type]
