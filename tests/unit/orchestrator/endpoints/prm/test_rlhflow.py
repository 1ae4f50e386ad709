from typing import Any

import pytest

from orchestrator.endpoints.prm import RLHFlowPRM
from orchestrator.errors import ConfigError

USER, ASSISTANT = (
    f"<|start_header_id|>{role}<|end_header_id|>\n\n" for role in ("user", "assistant")
)


def test_the_chat_of_the_deepseek_weights_begins_with_llama_31s_dates(solution: Any) -> None:
    node = solution()
    prm = RLHFlowPRM(transport=None, route="prefix")  # type: ignore[arg-type]
    assert prm.prefix(node.question, node.steps) == (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n"
        "Cutting Knowledge Date: December 2023\n"
        "Today Date: 26 Jul 2024\n\n<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\n"
        "What is 1 + 1? Add them.<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
        "+<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\n"
        "It is \\boxed{2}.<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )


def test_the_chat_of_the_mistral_weights_has_no_system_message() -> None:
    prm = RLHFlowPRM(transport=None, route="prefix", data="mistral")  # type: ignore[arg-type]
    assert prm.prefix("q", ("a",)) == f"<|begin_of_text|>{USER}q a<|eot_id|>{ASSISTANT}"


def test_weights_that_do_not_exist_are_a_config_error() -> None:
    with pytest.raises(ConfigError, match="data must be deepseek or mistral, not 'llama'"):
        RLHFlowPRM(transport=None, route="prefix", data="llama")  # type: ignore[arg-type]


async def test_a_prefix_holds_its_own_beginning_of_a_text(
    scripted: Any, answers: Any, solution: Any
) -> None:
    logprobs = {"token_id:10": -0.5, "token_id:12": -0.5}
    transport = scripted(answers.tokenize(10), answers.tokenize(12), answers.next_token(logprobs))
    prm = RLHFlowPRM(transport=transport, route="prefix")
    (node,) = await prm.score([solution(("a",))])
    assert node.scores == (0.5,)
    sent = transport.sent[-1].body
    assert (sent["prompt"], sent["add_special_tokens"]) == (
        prm.prefix(node.question, node.steps),
        False,
    )


async def test_pooling_reads_the_score_at_the_end_of_every_assistant_header(
    scripted: Any, answers: Any, solution: Any
) -> None:
    rows = [[0.5, 0.5]] * 2 + [[0.9, 0.1]] + [[0.5, 0.5]] + [[0.2, 0.8]]
    transport = scripted(
        answers.tokenize(1, 2, 3), answers.tokenize(4, 5), answers.pooling(rows, tokens=5)
    )
    prm = RLHFlowPRM(transport=transport, route="pooling", data="mistral")
    (node,) = await prm.score([solution(("a", "b"))])
    assert (node.scores, node.prm_tokens) == ((0.9, 0.2), 5)
    first, second, pooling = transport.sent
    begin = "<|begin_of_text|>"
    assert first.body["prompt"] == f"{begin}{USER}What is 1 + 1? a<|eot_id|>{ASSISTANT}"
    assert second.body["prompt"] == f"+<|eot_id|>{USER}b<|eot_id|>{ASSISTANT}"
    assert not first.body["add_special_tokens"]
    assert pooling.body == {"model": "m", "input": [[1, 2, 3, 4, 5]]}
