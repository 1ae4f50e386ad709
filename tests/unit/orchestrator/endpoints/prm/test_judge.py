from typing import Any

import pytest

from orchestrator.endpoints.prm import JudgePRM
from orchestrator.endpoints.prm.judge import render, verdicts


def test_steps_are_numbered_and_the_last_line_is_asked_for(solution: Any) -> None:
    node = solution()
    text = render(node.question, node.steps)
    assert text.endswith(
        "Verdicts: correct, correct, incorrect\n\n"
        "# Problem\n\nWhat is 1 + 1?\n\n"
        "# Solution\n\n[Step 1]\nAdd them.\n\n[Step 2]\nIt is \\boxed{2}."
    )


async def test_a_request_needs_nothing_but_chat(scripted: Any, answers: Any, solution: Any) -> None:
    transport = scripted(*[answers.chat("Verdicts: correct, correct")] * 2)
    await JudgePRM(transport=transport, samples=2).score([solution()])
    assert len(transport.sent) == 2
    for sent in transport.sent:
        assert sent.url == "http://host/v1/chat/completions"
        assert sent.body.keys() == {"model", "messages", "temperature", "max_tokens"}
        assert [message["role"] for message in sent.body["messages"]] == ["user"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Fine.\nVerdicts: correct, incorrect", [True, False]),
        ("**Verdicts:** Correct, Correct.\n", [True, True]),
        ("```\nverdicts: incorrect, incorrect\n```", [False, False]),
        ("Verdicts: correct incorrect", [True, False]),
        ("Verdicts: correct", None),
        ("Verdicts: correct, correct, correct", None),
        ("Verdicts: correct, probably correct", None),
        ("Verdicts: correct, incorrect\nBut wait, is it?", None),
        ("Verdicts:", None),
        ("", None),
    ],
)
def test_only_a_last_line_with_a_verdict_for_each_step_is_read(
    text: str, found: list[bool] | None
) -> None:
    assert verdicts(text, 2) == found


async def test_the_name_of_another_model_goes_with_its_scores(
    scripted: Any, answers: Any, solution: Any
) -> None:
    for answered, known in [("gpt-4o-2024-08-06", None), ("gpt-4o-mini", "gpt-4o-mini")]:
        answer = answers.chat("Verdicts: correct, correct") | {"model": answered}
        transport = scripted(answer, model="gpt-4o", checks_model=False)
        (node,) = await JudgePRM(transport=transport).score([solution()])
        assert (node.prm_model, node.scores) == (known, (1.0, 1.0))


async def test_an_answer_that_was_broken_off_is_no_verdict(
    scripted: Any, answers: Any, solution: Any
) -> None:
    broken = answers.chat("Verdicts: correct, correct", finish="abort")
    transport = scripted(broken, answers.chat("Verdicts: correct, incorrect"))
    (node,) = await JudgePRM(transport=transport).score([solution()])
    assert node.scores == (1.0, 0.0)
