"""Any chat model as a PRM: it is asked for a verdict on every step."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from orchestrator.core.fanout import fan_out
from orchestrator.core.node import Node
from orchestrator.endpoints.prm.base import Reading, ReadingOrError, apart
from orchestrator.endpoints.prm.generative import GenerativePRM, mean

INSTRUCTION = """\
Below are a problem and the steps of a solution, which may be unfinished. Check them in order. A \
step is correct if what it says is true, follows from the problem and the steps before it, and \
holds no miscalculation; a step that builds on an earlier error is incorrect. Do not count against \
a step what is still missing after it.

Explain briefly, then end with a single line that holds one verdict for each step in order, \
"correct" or "incorrect", separated by commas, and nothing after it. For three steps of which the \
last is wrong that line reads:
Verdicts: correct, correct, incorrect"""

_LINE = re.compile(r"^\W*verdicts\W*:(.*)$", re.IGNORECASE)
_VERDICTS = {"correct": True, "incorrect": False}


@dataclass(slots=True, kw_only=True)
class JudgePRM(GenerativePRM):
    """Numbered steps; the last line of the answer is ``Verdicts: correct, incorrect``.

    Needs nothing of its API but chat: no ``n``, seed or log-probabilities. Samples are requests of
    their own.
    """

    asks_together: ClassVar[bool] = False

    max_tokens: int | None = 2048

    async def read(self, nodes: Sequence[Node]) -> Sequence[ReadingOrError]:
        return await fan_out(apart(self._read_one(node)) for node in nodes)

    async def _read_one(self, node: Node) -> Reading:
        message = {"role": "user", "content": render(node.question, node.steps)}
        found = await self._verify([message], node=node, steps=node.steps)
        read = [verdicts(text, len(node.steps)) for text in found.texts]
        votes = [vote for vote in read if vote is not None]
        if not votes:
            raise self._no_vote(found)
        return found.reading(mean(votes))


def render(question: str, steps: Sequence[str]) -> str:
    """The user's message."""
    solution = "\n\n".join(f"[Step {i}]\n{step.strip()}" for i, step in enumerate(steps, 1))
    return f"{INSTRUCTION}\n\n# Problem\n\n{question}\n\n# Solution\n\n{solution}"


def verdicts(text: str, steps: int) -> list[bool] | None:
    """The verdicts of the last line with words; None where it has not one for each of ``steps``."""
    lines = [line for line in text.splitlines() if re.search(r"\w", line)]
    line = _LINE.match(lines[-1]) if lines else None
    words = re.findall(r"\w+", line[1].lower()) if line else []
    found = [_VERDICTS.get(word) for word in words]
    known = [verdict for verdict in found if verdict is not None]
    return known if len(known) == len(found) == steps else None
