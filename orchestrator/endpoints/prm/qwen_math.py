"""Qwen2.5-Math-PRM: a two-class score at ``<extra_0>`` after each step."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.core.node import Node
from orchestrator.endpoints.prm.base import HttpPRM, ReadingOrError
from orchestrator.endpoints.prm.pooling import read_tags

SYSTEM = r"Please reason step by step, and put your final answer within \boxed{}."
TAG = "<extra_0>"


@dataclass(slots=True, kw_only=True)
class QwenMathPRM(HttpPRM):
    """ChatML with every step closed by ``<extra_0>``; class 1 is "right" (paper, appendix B).

    ``system`` is the model card's system message; None leaves the message out.
    """

    system: str | None = SYSTEM

    def render(self, question: str, steps: Sequence[str]) -> str:
        solution = "".join(_plain(step).strip() + TAG for step in steps)
        turns = [("user", _plain(question)), ("assistant", solution)]
        if self.system is not None:
            turns.insert(0, ("system", self.system))
        return "".join(f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in turns)

    def unscorable(self, steps: Sequence[str]) -> int | None:
        """The first step that spells the tag: nobody writes that but to be scored by it."""
        return next((i for i, step in enumerate(steps) if TAG in step), None)

    async def read(self, nodes: Sequence[Node]) -> Sequence[ReadingOrError]:
        return await read_tags(self.pooling, nodes, self.render, column=1, family="qwen_math")


def _plain(text: str) -> str:
    """``text`` without tags, those that only show when others are gone included."""
    while TAG in text:
        text = text.replace(TAG, "")
    return text
