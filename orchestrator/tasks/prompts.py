"""How each family of policies is asked (paper, appendix; texts as in the authors' code)."""

from dataclasses import dataclass
from typing import Literal

_BOXED = r"Please reason step by step, and put your final answer within \boxed{}."

_LLAMA3 = r"""Solve the following math problem efficiently and clearly:

- For simple problems (2 steps or fewer):
Provide a concise solution with minimal explanation.

- For complex problems (3 steps or more):
Use this step-by-step format:

## Step 1: [Concise description]
[Brief explanation and calculations]

## Step 2: [Concise description]
[Brief explanation and calculations]

...

Regardless of the approach, always conclude with:

Therefore, the final answer is: $\boxed{answer}$. I hope it is correct.

Where [answer] is just the final number or expression that solves the problem."""
"""The system prompt of Meta's Llama 3 evaluations, byte for byte: 577 characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptFamily:
    """The messages a question is put in, and the ``separator`` that ends a step.

    ``system`` None is no system message; ``user_suffix`` follows the question.
    """

    name: str
    system: str | None = None
    user_suffix: str = ""
    separator: str = "\n\n"

    def messages(self, question: str) -> list[dict[str, str]]:
        """The chat so far: ``[{"role": …, "content": …}, …]``, ending with the user."""
        user = {"role": "user", "content": question + self.user_suffix}
        if self.system is None:
            return [user]
        return [{"role": "system", "content": self.system}, user]


FamilyName = Literal["llama3", "qwen", "r1_distill", "tiny"]

DEFAULT: FamilyName = "qwen"
"""What the authors' code asks every other policy with."""

PROMPTS: dict[FamilyName, PromptFamily] = {
    "llama3": PromptFamily(name="llama3", system=_LLAMA3),
    "qwen": PromptFamily(name="qwen", system=_BOXED),
    "r1_distill": PromptFamily(name="r1_distill", user_suffix="\n" + _BOXED),
    "tiny": PromptFamily(name="tiny"),
}
