from typing import Any

import pytest

from orchestrator.endpoints.prm import ThinkPRM
from orchestrator.endpoints.prm.thinkprm import render, verdicts


def test_the_message_is_the_one_the_models_were_trained_with() -> None:
    assert render("What is {solution}?", ("Add them.\n\n", "## Step 2: It is 2.")) == (
        "You are given a math problem and a proposed step-by-step solution:\n"
        "\n"
        "[Math Problem]\n"
        "\n"
        "What is {solution}?\n"
        "\n"
        "[Solution]\n"
        "\n"
        "Step 1: Add them.\n"
        "Step 2: It is 2.\n"
        "\n"
        "Review and critique each step in the proposed solution to determine whether each step is "
        "correct. If the solution is incomplete, only verify the provided steps."
    )


async def test_samples_come_in_one_request_that_ends_with_the_thought(
    scripted: Any, answers: Any, solution: Any
) -> None:
    text = "Step 1: Add. \\boxed{{correct}}\nStep 2: It is \\boxed{{{}}}"
    transport = scripted(
        answers.chat(text.format("correct"), text.format("incorrect"), tokens=30, written=40)
    )
    (node,) = await ThinkPRM(transport=transport, samples=2).score([solution()])
    assert (node.scores, node.prm_tokens) == ((1.0, 0.5), 70)
    (sent,) = transport.sent
    assert (sent.body["n"], sent.body["temperature"]) == (2, 0.4)
    assert sent.body["stop"] == ["</think>", "Step 3:"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Step 1: so \\boxed{correct}\nStep 2: \\boxed{incorrect}", [True, False]),
        ("**Step 1:** \\boxed{Correct}\n\n### Step 2\n\\boxed{\\text{correct}}", [True, True]),
        ("\\boxed{correct} and \\boxed{correct}", [True, True]),
        ("Step 1: \\boxed{incorrect}", [False, False]),
        ("Step 1: \\boxed{correct}. Wait. \\boxed{incorrect}\nStep 2: \\boxed{incorrect}",
         [False, False]),
        ("Step 1: \\boxed{correct}", None),
        ("Step 1: \\boxed{4}\nStep 2: \\boxed{2}", None),
        ("Step 1: \\boxed{correct}\nStep 2: \\boxed{correct}\nStep 3: \\boxed{correct}", None),
        ("", None),
    ],
)  # fmt: skip
def test_a_verdict_is_read_for_each_step(text: str, found: list[bool] | None) -> None:
    assert verdicts(text, 2) == found
