import time

import pytest

from orchestrator.tasks.answers import MAX_TEXT, extract


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        # 1. the sentence of the Llama 3 prompt, before any box
        (r"\boxed{1} The final answer is $2$. I hope it is correct.", "2"),
        (r"Therefore, the final answer is: $\boxed{\frac{1}{2}}$. I hope it is", r"\frac{1}{2}"),
        ("final answer is $1$. I hope so. No: the final answer is $3$. I hope it is.", "3"),
        # 2. the last box
        (r"first \boxed{1}, then \boxed{\frac{a}{\sqrt{b}}}.", r"\frac{a}{\sqrt{b}}"),
        (r"\fbox{7}", "7"),
        (r"\boxed {8}", "8"),
        (r"\boxed{\left\{ 1, 2 \right\}}", r"\left\{ 1, 2 \right\}"),
        (r"\boxed{\begin{pmatrix} 1 \\ 2 \end{pmatrix}}", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}"),
        (r"\boxed{x=\boxed{5}}", "5"),
        (r"the answer is 3, so \boxed{4}", "4"),
        (r"\boxed{6} and then a box cut off: \boxed{7", "6"),
        (r"a stray } and { before \boxed{9}", "9"),
        (r"\boxed{5}, given as \boxed{}", "5"),
        # 3. what is stated
        ("The answer is 12.", "12"),
        ("the answer is: $x+1$. Done", "x+1"),
        (r"The answer is \(\frac{3}{4}\), clearly", r"\frac{3}{4}"),
        ("The final answer is **42**", "42"),
        ("the answer is 3.5 apples. I have 7.", "3.5"),
        ("The answer is even.", "even"),
        ("The answer is 3/4", "3/4"),
        ("the answer is 1.\nNo, the answer is 2.", "2"),
        # 4. the last number
        ("so we get 3 and then 1,234.5 of them", "1234.5"),
        ("the temperature falls to -7 degrees", "-7"),
        ("10-3", "10-3"),
        ("a total of $.5", ".5"),
        ("x2 is 204. -user2010", "204"),
    ],
)
def test_the_answer_is_read_where_it_is_stated_first_in_order(text: str, answer: str) -> None:
    assert extract(text) == answer


@pytest.mark.parametrize(
    "text", ["", "no numbers here", r"we get 5, so \boxed{}", r"7 \boxed{ }", r"\boxed{\boxed{}} 3"]
)
def test_nothing_stated_and_an_empty_box_are_no_answer(text: str) -> None:
    assert extract(text) is None


def test_an_answer_beyond_the_bound_is_found_from_the_end() -> None:
    assert extract("1 " * MAX_TEXT + r"\boxed{3}") == "3"


@pytest.mark.parametrize(
    "text",
    [
        r"\boxed{" * 30_000,
        r"\boxed{" * 15_000 + "}" * 15_000,
        "{" * MAX_TEXT,
        "final answer is $" * 12_000,
        "the answer is " * 15_000,
        "1,111" * 40_000,
        "9" * MAX_TEXT,
        r"\(" * 100_000,
        "$" * MAX_TEXT,
        "-" * MAX_TEXT,
        "\n" * MAX_TEXT,
    ],
    ids=lambda text: text[:16].strip() or "newlines",
)
def test_hostile_texts_are_read_in_linear_time(text: str) -> None:
    started = time.process_time()
    extract(text)
    assert time.process_time() - started < 2
