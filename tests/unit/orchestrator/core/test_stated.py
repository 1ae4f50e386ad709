import pytest

from orchestrator.core.stated import after_thought, stating


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("It is 4.", "It is 4."),
        ("<think>3? No.</think>\n\nIt is 4.", "It is 4."),
        ("3? No.</think>It is 4.", "It is 4."),
        ("<thinking>3?</thinking> It is 4.", "It is 4."),
        ("[THINK]3?[/THINK]It is 4.", "It is 4."),
        ("<think>3?</think> <think>5?</think> It is 4.", "It is 4."),
        ("<think>3?</think>", ""),
        ("<think>Is it 3", None),
        ("\n<Think>Is it 3", None),
        ("If x < 3 then I think> it is 4.", "If x < 3 then I think> it is 4."),
    ],
)
def test_an_answer_comes_after_the_thought_and_a_thought_without_an_end_has_none(
    text: str, answer: str | None
) -> None:
    assert after_thought(text) == answer


def has_box(text: str) -> bool:
    return r"\boxed" in text


@pytest.mark.parametrize("finish", ["length", "filtered"])
def test_of_a_text_that_was_cut_only_what_is_complete_states_an_answer(
    finish: str,
) -> None:
    assert stating("So far we have 12", finish, has_box) is None
    assert (
        stating(r"It is \boxed{4}. To check, 12", finish, has_box)
        == r"It is \boxed{4}. To check, 12"
    )
    assert stating(r"<think>Maybe \boxed{3}, or 12", finish, has_box) is None


@pytest.mark.parametrize("finish", ["stop", "depth", "dead_end", "overflow", None])
def test_a_path_that_ends_where_a_step_does_is_read_as_it_is(finish: str | None) -> None:
    assert stating("So it is 12", finish, has_box) == "So it is 12"
    assert stating("<think>So it is 12.\n\n", finish, has_box) == "<think>So it is 12.\n\n"
