"""ThinkPRM (Khalifa et al. 2025): a chain of thought that closes each step with its verdict."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from orchestrator.core.fanout import fan_out
from orchestrator.core.node import Node
from orchestrator.endpoints.prm.base import Reading, ReadingOrError, apart
from orchestrator.endpoints.prm.generative import GenerativePRM, mean

TEMPLATE = """You are given a math problem and a proposed step-by-step solution:

[Math Problem]

{question}

[Solution]

{solution}

Review and critique each step in the proposed solution to determine whether each step is correct. \
If the solution is incomplete, only verify the provided steps."""

_NUMBER = re.compile(r"(?:## )?Step \d+:")
_MARK = re.compile(
    r"^\W*Step (?P<step>\d+)\b|\\boxed\{\s*(?:\\text\{)?\s*(?P<verdict>correct|incorrect)\b",
    re.IGNORECASE | re.MULTILINE,
)


@dataclass(slots=True, kw_only=True)
class ThinkPRM(GenerativePRM):
    """One user message, in the template the models were trained with; a verdict is
    ``\\boxed{correct}`` or ``\\boxed{incorrect}``.

    As the authors do, samples for a mean are drawn at temperature 0.4, and a sample is ended where
    its thought ends or goes on to a step that does not exist.
    """

    warmth: ClassVar[float] = 0.4

    async def read(self, nodes: Sequence[Node]) -> Sequence[ReadingOrError]:
        return await fan_out(apart(self._read_one(node)) for node in nodes)

    async def _read_one(self, node: Node) -> Reading:
        message = {"role": "user", "content": render(node.question, node.steps)}
        found = await self._verify(
            [message],
            node=node,
            steps=node.steps,
            stop=["</think>", f"Step {len(node.steps) + 1}:"],
        )
        read = [verdicts(text, len(node.steps)) for text in found.texts]
        votes = [vote for vote in read if vote is not None]
        if not votes:
            raise self._no_vote(found)
        return found.reading(mean(votes))


def render(question: str, steps: Sequence[str]) -> str:
    """The user's message: the steps numbered, in a line each."""
    plain = [_NUMBER.sub("", step).strip() for step in steps]
    solution = "\n".join(f"Step {i}: {step}" for i, step in enumerate(plain, 1))
    head, tail = TEMPLATE.split("{question}")
    return head + question + tail.replace("{solution}", solution)


def verdicts(text: str, steps: int) -> list[bool] | None:
    """A verification's verdict on each of ``steps``; None where it has not one for each.

    The last verdict under a step's heading counts. The models stop at the first wrong step: those
    after it are wrong too.
    """
    found: list[bool] = []
    heading = judged = ""
    for mark in _MARK.finditer(text):
        if mark["step"]:
            heading = mark["step"]
        elif heading and heading == judged:
            found[-1] = mark["verdict"].lower() == "correct"
        else:
            found.append(mark["verdict"].lower() == "correct")
            judged = heading
    if found and not found[-1]:
        found += [False] * (steps - len(found))
    return found if len(found) == steps else None
