"""What is to be solved."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A question with its reference ``answer``, None where nobody knows it.

    The reference is for grading alone: policies and PRMs see ``Node.question``, never this object.
    ``level`` is the task's own grade of difficulty ("Level 3", "depth 7"), where it has one.
    """

    id: str
    question: str
    answer: str | None = None
    level: str | None = None
