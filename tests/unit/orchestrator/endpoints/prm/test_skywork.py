from typing import Any

from orchestrator.endpoints.prm import SkyworkPRM


async def test_question_and_steps_are_tokenised_apart_and_scored_at_their_line_ends(
    scripted: Any, answers: Any, solution: Any
) -> None:
    transport = scripted(
        answers.tokenize(1, 2),
        answers.tokenize(198),
        answers.tokenize(3, 4),
        answers.tokenize(5),
        answers.pooling([[0.1], [0.2], [0.3], [0.4], [0.9], [0.6], [0.7]], tokens=7),
    )
    prm = SkyworkPRM(transport=transport)
    (node,) = await prm.score([solution(("  one\nline \n\n", "two"))])
    assert (node.scores, node.prm_tokens) == ((0.9, 0.7), 7)
    *tokenized, pooling = transport.sent
    assert [sent.body["prompt"] for sent in tokenized] == [
        "<|im_start|>What is 1 + 1?\n", "\n", "one line", "two",
    ]  # fmt: skip
    assert not any(sent.body["add_special_tokens"] for sent in tokenized)
    assert pooling.body == {"model": "m", "input": [[1, 2, 3, 4, 198, 5, 198]]}


async def test_texts_seen_before_are_not_tokenised_again(
    scripted: Any, answers: Any, solution: Any
) -> None:
    transport = scripted(
        answers.tokenize(1),
        answers.tokenize(198),
        answers.tokenize(3),
        answers.pooling([[0.1], [0.2], [0.3]]),
        answers.tokenize(4),
        answers.pooling([[0.1], [0.2], [0.3], [0.4], [0.5]]),
    )
    prm = SkyworkPRM(transport=transport)
    (node,) = await prm.score([solution(("a",))])
    (node,) = await prm.score([node.child(0, ("b",))])
    assert node.scores == (0.3, 0.5)


async def test_the_beginning_of_a_text_can_be_left_out(
    scripted: Any, answers: Any, solution: Any
) -> None:
    transport = scripted(*map(answers.tokenize, (1, 198, 3)), answers.pooling([[0.1]] * 3))
    await SkyworkPRM(transport=transport, bos="").score([solution(("a",))])
    assert transport.sent[0].body["prompt"] == "What is 1 + 1?\n"
