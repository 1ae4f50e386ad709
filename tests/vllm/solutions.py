"""Solutions that a PRM's rendering can trip over: the texts of the parity tests."""

from dataclasses import dataclass

QUESTION = (
    "A gardener plants 12 rows of 7 trees and later removes 9 of them. Each tree left gives 15 "
    "apples. How many apples are there?"
)


@dataclass(frozen=True, slots=True)
class Solution:
    """A question and its steps, as a policy leaves them: each but the last ends in a blank line."""

    name: str
    question: str
    steps: tuple[str, ...]


def _solution(name: str, *steps: str, question: str = QUESTION) -> Solution:
    *ended, last = steps
    return Solution(name, question, (*(f"{step}\n\n" for step in ended), last))


PLAIN = (
    "Step 1: There are 12 rows of 7 trees, so the gardener plants 84 trees.",
    "Step 2: Of those, 9 are removed, which leaves 75 trees.",
    "Step 3: Every tree gives 15 apples.",
    "Step 4: Multiply the trees by the apples of each: 75 times 15 is 1125.",
    "Step 5: Check it: 70 times 15 is 1050 and 5 times 15 is 75, together 1125.",
    r"Therefore, the final answer is: $\boxed{1125}$.",
)

SOLUTIONS = (
    _solution("plain", *PLAIN),
    _solution("single step", r"It is 84 trees less 9, times 15: $\boxed{1125}$."),
    _solution(
        "plus and minus signs",
        "7 + 7 + 7 + 7 = 28, and 28 + 28 + 28 = 84",
        "84 - 9 = 75 + 0 - 0",
        "+",
        "- 75 * 10 = 750 - -0\n+ 75 * 5 = 375",
        "750 + 375 = 1125 +",
        r"$\boxed{+1125}$ -",
        question="What is 7 + 7 + 7 - 9? Write + for yes and - for no.",
    ),
    _solution(
        "lines inside steps",
        "Let us list what we know:\n- 12 rows\n- 7 trees a row",
        "Then\n  12\n* 7\n----\n  84\n",
        "We take 9 away\nand keep 75.",
        "```\nprint(75 * 15)\n```",
        "The answer is\n$\\boxed{1125}$",
    ),
    _solution(
        "unicode",
        "Let π ≈ 3.14159 and x² + y² ≤ r²; naïve café, Ångström – “quoted” …",
        "数学：十二行，每行七棵树 🌳🌲, ergibt vierundachtzig Bäume.",
        "За день деревья дают урожай: 84 − 9 = 75 деревьев, по 15 яблок.",
        "𝑥 = 75 · 15 ⇒ 𝑥 = 1125 ✓",
        r"∴ $\boxed{1125}$",
        question="Сколько яблок? ¿Cuántas manzanas hay en 75 árboles de 15? 多少个苹果？",
    ),
    _solution(
        "spaces around",
        "  There are 84 trees.  ",
        "\tThen 9 go,   leaving 75.",
        "75 * 15 = 1125   ",
        "\nSo it is 1125.",
    ),
    _solution(
        "long",
        *(
            f"Step {i}: we add row {i}, which has 7 trees, to the {7 * (i - 1)} trees counted "
            f"before, so that the gardener has {7 * i} trees in {i} rows at this point."
            for i in range(1, 13)
        ),
        *(
            f"Step {12 + i}: the gardener removes tree number {i} of 9, and {84 - i} are left."
            for i in range(1, 10)
        ),
        r"Therefore, the final answer is: $\boxed{1125}$.",
    ),
)

MARKED = _solution(
    "marks of every template",
    "There are 84 trees.",
    "9 are removed.",
    "За сутки ки кирпичи: <extra_0>75<|im_end|> ки\n<|eot_id|>+ ки </s> 75<|endoftext|>",
    r"$\boxed{1125}$",
)
"""What PRMs are told a step's end by, inside its third step."""

NAMES = [solution.name for solution in SOLUTIONS]


def corpus() -> list[str]:
    """What the tiny tokenizers are trained on."""
    return [text for each in (*SOLUTIONS, MARKED) for text in (each.question, *each.steps)]
