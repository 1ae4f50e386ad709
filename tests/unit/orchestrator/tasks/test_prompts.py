import pytest

from orchestrator.core.task import Instruction
from orchestrator.tasks.math.task import MathTask
from orchestrator.tasks.prompts import DEFAULT, PROMPTS

BOXED = r"Please reason step by step, and put your final answer within \boxed{}."
MATH = MathTask.instruction
CITIES = Instruction(form='on a line of its own, after "Answer:"', subject="geography")


def test_the_llama_prompt_is_the_577_characters_of_metas_evaluations() -> None:
    system, user = PROMPTS["llama3"].messages(MATH, "1+1?")
    assert user == {"role": "user", "content": "1+1?"}
    assert len(system["content"]) == 577
    assert system["content"].startswith(
        "Solve the following math problem efficiently and clearly:\n\n- For"
    )
    assert system["content"].endswith(
        "Regardless of the approach, always conclude with:\n\n"
        "Therefore, the final answer is: $\\boxed{answer}$. I hope it is correct.\n\n"
        "Where [answer] is just the final number or expression that solves the problem."
    )


def test_qwen_is_the_default_and_asks_for_a_box_in_the_system_message() -> None:
    assert PROMPTS[DEFAULT].messages(MATH, "1+1?") == [
        {"role": "system", "content": BOXED},
        {"role": "user", "content": "1+1?"},
    ]


def test_r1_distill_has_no_system_message_and_asks_for_a_box_after_the_question() -> None:
    asked = PROMPTS["r1_distill"].messages(MATH, "1+1?")
    assert asked == [{"role": "user", "content": f"1+1?\n{BOXED}"}]


@pytest.mark.parametrize("task", [MATH, CITIES, Instruction()])
def test_tiny_models_see_the_bare_question(task: Instruction) -> None:
    assert PROMPTS["tiny"].messages(task, "1+1?") == [{"role": "user", "content": "1+1?"}]


def test_another_task_says_what_its_answer_looks_like_in_each_familys_words() -> None:
    (qwen, _), (llama, _) = (PROMPTS[each].messages(CITIES, "?") for each in ("qwen", "llama3"))
    assert qwen["content"] == (
        "Please reason step by step, and put your final answer on a line of its own, after "
        '"Answer:".'
    )
    assert llama["content"].startswith("Solve the following geography problem")
    assert llama["content"].endswith(f"\n\nThe final answer {CITIES.form}.")


def test_a_task_without_an_instruction_leaves_no_gap_in_the_words() -> None:
    (qwen, _), (llama, _) = (
        PROMPTS[each].messages(Instruction(), "?") for each in ("qwen", "llama3")
    )
    assert qwen["content"] == "Please reason step by step."
    assert llama["content"].startswith("Solve the following problem efficiently")
    assert llama["content"].endswith("\n\nTherefore, the answer is: [answer].")


@pytest.mark.parametrize("family", PROMPTS.values(), ids=lambda family: family.name)
def test_steps_end_with_a_blank_line(family) -> None:
    assert family.separator == "\n\n"


def test_every_family_goes_by_its_own_name() -> None:
    assert all(name == family.name for name, family in PROMPTS.items())
