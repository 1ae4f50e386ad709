import time

import pytest

from orchestrator.tasks.math.extracting.solutions import MAX_TEXT, extract


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
        ("Answer: 42 (since 6*7 = 42)", "42"),
        ("**Final Answer:**\n\\[\n\\frac{3}{5}\n\\]", r"\frac{3}{5}"),
        ("The answer is 0.5 (or 1/2).", "0.5"),
        ("The answer is x ≤ 3.", "x ≤ 3"),
        ("The answer is Tuesday, because 5 days pass.", "Tuesday"),
        ("The answer is the sum of 2 and 3, which is 5.", "5"),
        ("The answer is 5 hours and 30 minutes.", "5 hours and 30 minutes"),
        ("The answer is between 3 and 4.", "between 3 and 4"),
        ("The answer is 2a + 3b.", "2a + 3b"),
        ("The answer is 5. This answer is correct.", "5"),
        ("The correct option is B", "B"),
        ("6*7 = 42\n#### 42", "42"),
        ("#### Step 2: multiply\nWe get 5.", "5"),
        ("The answer is therefore even.", "even"),
        (r"Put it in \boxed{}.\n\nQuestion: 2+2?\nSo \boxed{4}", "4"),
        ("The answer is 3.\n\nQuestion: What is 5+5?\nAnswer: 10", "3"),
        ("<think>The answer is 3.</think> It is 4.", "4"),
        # 4. the last number
        ("so we get 3 and then 1,234.5 of them", "1234.5"),
        ("the temperature falls to -7 degrees", "-7"),
        ("10-3", "10-3"),
        ("a total of $.5", ".5"),
        ("x2 is 204. -user2010", "204"),
        ("So n^2 = 16, n = 4.", "n = 4"),
        ("He paid $200 and $250, so $450 in total.", "450"),
        ("so the total is $3\\sqrt{2}$.", r"3\sqrt{2}"),
        ("The result is 12 in step 3.", "12"),
        ("Step 2: 5*2=10.", "5*2=10"),
        ("The ratio is 3 to 4.", "3 to 4"),
        ("- 12 apples", "12"),
        (r"We get $a + 1 = 2 + 1 = 3$.", "3"),
        (r"so $2a + 4b = 6 + 4 = 10$.", "10"),
        (r"Then \begin{align*} p &= 1 + 2 \\ &= 3.\end{align*}", "3"),
        (r"Then \begin{align*} x &= 1 \\ y &= 2\end{align*}", "x = 1, y = 2"),
        (r"$\angle A = 30^\circ$ of $ABC$", r"\angle A = 30^\circ"),
        ("It is $4$.\n[asy]\nlabel((3,5));\n[/asy]", "4"),
        (r"There are 3 of them, so $3! = 6$.", "3! = 6"),
    ],
)
def test_the_answer_is_read_where_it_is_stated_first_in_order(text: str, answer: str) -> None:
    assert extract(text) == answer


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no numbers here",
        r"we get 5, so \boxed{}",
        r"7 \boxed{ }",
        r"\boxed{\boxed{}} 3",
        r"so \boxed{\frac{1}{2",
        r"we get 7, so \boxed{7",
        "Step 5: I give up",
        "<think>so it is \\boxed{3}",
        "this answer is correct",
        "The answer is shown above.",
        "The answer is one of them.",
    ],
)
def test_nothing_stated_an_empty_box_and_one_that_never_closes_are_no_answer(text: str) -> None:
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
    started = time.thread_time()
    extract(text)
    assert time.thread_time() - started < 5
