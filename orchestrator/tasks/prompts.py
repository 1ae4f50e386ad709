"""How each family of policies is asked (paper, appendix; texts as in the authors' code).

The layout and the way of working are the family's; what the answer looks like is the task's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from orchestrator.core.task import Instruction
from orchestrator.formats.chat import Messages

_LLAMA3 = """Solve the following {subject}problem efficiently and clearly:

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

{conclusion}"""
"""The system prompt of Meta's Llama 3 evaluations; with the math task byte for byte: 577
characters."""


def _step_by_step(task: Instruction) -> str:
    stated = f", and put your final answer {task.form}" if task.form else ""
    return f"Please reason step by step{stated}."


def _llama3(task: Instruction) -> str:
    shown = f"The final answer {task.form}." if task.form else "Therefore, the answer is: [answer]."
    subject = f"{task.subject} " if task.subject else ""
    return _LLAMA3.format(subject=subject, conclusion=task.conclusion or shown)


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptFamily:
    """The messages a question is put in, and the ``separator`` that ends a step.

    ``system`` words the system message, None is no such message; ``user_suffix`` words what follows
    the question.
    """

    name: str
    system: Callable[[Instruction], str] | None = None
    user_suffix: Callable[[Instruction], str] | None = None
    separator: str = "\n\n"

    def messages(self, task: Instruction, question: str) -> Messages:
        """The chat so far, ending with the user."""
        suffix = "\n" + self.user_suffix(task) if self.user_suffix else ""
        user = {"role": "user", "content": question + suffix}
        if self.system is None:
            return [user]
        return [{"role": "system", "content": self.system(task)}, user]

    def asking(self, task: Instruction) -> Callable[[str], Messages]:
        """From a question of the task to the chat that poses it."""
        return partial(self.messages, task)


FamilyName = Literal["llama3", "qwen", "r1_distill", "tiny"]

DEFAULT: FamilyName = "qwen"
"""What the authors' code asks every other policy with."""

PROMPTS: dict[FamilyName, PromptFamily] = {
    "llama3": PromptFamily(name="llama3", system=_llama3),
    "qwen": PromptFamily(name="qwen", system=_step_by_step),
    "r1_distill": PromptFamily(name="r1_distill", user_suffix=_step_by_step),
    "tiny": PromptFamily(name="tiny"),
}
