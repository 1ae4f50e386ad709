import pytest

from orchestrator.tasks.prompts import DEFAULT, PROMPTS

BOXED = r"Please reason step by step, and put your final answer within \boxed{}."


def test_the_llama_prompt_is_the_577_characters_of_metas_evaluations() -> None:
    system = PROMPTS["llama3"].system
    assert system is not None
    assert len(system) == 577
    assert system.startswith("Solve the following math problem efficiently and clearly:\n\n- For")
    assert system.endswith(
        "Therefore, the final answer is: $\\boxed{answer}$. I hope it is correct.\n\n"
        "Where [answer] is just the final number or expression that solves the problem."
    )


def test_qwen_is_the_default_and_asks_for_a_box_in_the_system_message() -> None:
    assert PROMPTS[DEFAULT].messages("1+1?") == [
        {"role": "system", "content": BOXED},
        {"role": "user", "content": "1+1?"},
    ]


def test_r1_distill_has_no_system_message_and_asks_for_a_box_after_the_question() -> None:
    assert PROMPTS["r1_distill"].messages("1+1?") == [{"role": "user", "content": f"1+1?\n{BOXED}"}]


def test_tiny_models_see_the_bare_question() -> None:
    assert PROMPTS["tiny"].messages("1+1?") == [{"role": "user", "content": "1+1?"}]


@pytest.mark.parametrize("family", PROMPTS.values(), ids=lambda family: family.name)
def test_steps_end_with_a_blank_line(family) -> None:
    assert family.separator == "\n\n"


def test_every_family_goes_by_its_own_name() -> None:
    assert all(name == family.name for name, family in PROMPTS.items())
