"""Best-of-N with a process reward model (paper §3.1)."""

from dataclasses import dataclass
from typing import ClassVar

from orchestrator.core.rewards import value
from orchestrator.core.tree import Node
from orchestrator.strategies.voted import Voted


@dataclass(frozen=True, slots=True, kw_only=True)
class BestOfN(Voted):
    """Sample ``n`` whole solutions and score each, step by step.

    Where it may stop early, an answer's weight is the sum of its solutions' last scores.
    """

    uses_prm: ClassVar[bool] = True

    def weight(self, leaf: Node) -> float:
        return max(0.0, value(leaf.scores, "last"))
