"""Math-Shepherd-PRM (Wang et al. 2023): "+" against "-" at a tag after each step."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from orchestrator.core.node import Node
from orchestrator.endpoints.prm.base import ReadingOrError
from orchestrator.endpoints.prm.pooling import read_tags
from orchestrator.endpoints.prm.verdict import VerdictPRM

TAG = "ки"
HARMLESS = "kи"
"""What stands for the tag inside a text: it looks the same, in a Latin k, and is no tag."""


@dataclass(slots=True, kw_only=True)
class MathShepherdPRM(VerdictPRM):
    """``{question} {step} ки\\n{step} ки\\n``; the softmax of "+" against "-" at the tag."""

    add_special_tokens: ClassVar[bool] = True

    def render(self, question: str, steps: Sequence[str]) -> str:
        solution = "".join(f"{_plain(step.strip())} {TAG}\n" for step in steps)
        return f"{_plain(question)} {solution}"

    def prefix(self, question: str, steps: Sequence[str]) -> str:
        return self.render(question, steps).removesuffix("\n")

    async def _pooled(self, nodes: Sequence[Node]) -> Sequence[ReadingOrError]:
        return await read_tags(self.pooling, nodes, self.render, column=0, family="math_shepherd")


def _plain(text: str) -> str:
    return text.replace(TAG, HARMLESS)
