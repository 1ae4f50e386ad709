"""Math-Shepherd-PRM (Wang et al. 2023): "+" against "-" at a tag after each step."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from orchestrator.endpoints.prm.pooling import PoolingPRM

TAG = "ки"


@dataclass(slots=True, kw_only=True)
class MathShepherdPRM(PoolingPRM):
    """``{question} {step} ки\\n{step} ки\\n``; the softmax of "+" against "-" at the tag."""

    column: ClassVar[int] = 0

    def render(self, question: str, steps: Sequence[str]) -> str:
        return f"{question} " + "".join(f"{step.strip()} {TAG}\n" for step in steps)
