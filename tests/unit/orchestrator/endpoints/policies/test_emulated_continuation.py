"""Continuation by an instruction: where a step ends, and where the solution."""

from typing import Any

import pytest

from orchestrator.core.node import root
from orchestrator.core.ports import Sampling
from orchestrator.endpoints.policies.emulated_continuation import InstructedPolicy

ROOT = root("What is 12 + 30?", seed=1, problem_id="p")
STEP = Sampling(temperature=0.7, max_tokens=64)
WHOLE = Sampling(temperature=0.7, max_tokens=64, until="end")


def ask(question: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}]


def chat(text: str, finish: str) -> dict[str, Any]:
    choice = {"index": 0, "message": {"content": text}, "finish_reason": finish}
    return {"model": "m", "choices": [choice]}


@pytest.mark.parametrize(
    ("said", "ends", "step", "finish"),
    [
        ("Add them.\n\nIt is 42.", "stop", "Add them.\n\n", None),
        ("Add them.\n\nIt is 4", "length", "Add them.\n\n", None),
        ("Add them.", "stop", "Add them.\n\n", None),
        ("Add th", "length", "Add th\n\n", "length"),
        ("It is 42.", "stop", "It is 42.", "stop"),
        ("It is 42.\n\nIndeed.", "stop", "It is 42.", "stop"),
    ],
)
async def test_a_step_ends_at_its_separator_and_a_solution_where_it_is_complete(
    scripted: Any, said: str, ends: str, step: str, finish: str | None
) -> None:
    policy = InstructedPolicy(scripted(chat(said, ends)), ask, is_complete=lambda it: "42" in it)
    (child,) = await policy.extend(ROOT, 1, STEP)
    assert (child.text, child.finish) == (step, finish)


async def test_what_is_asked_for_quotes_the_steps_before_and_how_to_state_the_answer(
    scripted: Any,
) -> None:
    transport = scripted(*[chat("Add them.", "stop")] * 4)
    policy = InstructedPolicy(transport, ask, form="in a box")
    (begun,) = await policy.extend(ROOT, 1, STEP)
    for node, sampling in ((begun, STEP), (begun, WHOLE), (ROOT, WHOLE)):
        await policy.extend(node, 1, sampling)
    first, later, rest, whole = [sent.body["messages"][-1]["content"] for sent in transport.sent]
    assert whole == "What is 12 + 30?"
    assert "Write the first step" in first and "in a box" in first and "-----" not in first
    assert "-----\nAdd them.\n-----\nWrite the next step" in later and "in a box" in later
    assert "-----\nAdd them.\n-----\nWrite the rest" in rest and "in a box" not in rest
