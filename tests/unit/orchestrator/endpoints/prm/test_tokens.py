"""Token ids as the server of a model has them."""

from typing import Any

import pytest

from orchestrator.endpoints.prm.tokens import Tokenizer
from orchestrator.errors import BadResponse


async def test_a_text_is_asked_for_once_and_no_text_never(scripted: Any, answers: Any) -> None:
    transport = scripted(answers.tokenize(7, 8))
    tokenizer = Tokenizer(transport)
    assert await tokenizer.ids("") == ()
    assert [await tokenizer.ids("ab") for _ in range(2)] == [(7, 8)] * 2
    (sent,) = transport.sent
    assert sent.body == {"model": "m", "prompt": "ab", "add_special_tokens": False}


@pytest.mark.parametrize("ids", [(), (7, 8)])
async def test_a_label_must_be_one_token(scripted: Any, answers: Any, ids: tuple[int, ...]) -> None:
    assert await Tokenizer(scripted(answers.tokenize(7))).only_id("+") == 7
    with pytest.raises(BadResponse, match=f"for {len(ids)} tokens, not one"):
        await Tokenizer(scripted(answers.tokenize(*ids))).only_id("+")
