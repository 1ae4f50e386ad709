"""Diverse verifier tree search (Beeching et al. 2024)."""

from dataclasses import asdict, dataclass
from typing import ClassVar

from orchestrator.core.fanout import fan_out
from orchestrator.core.node import Node
from orchestrator.core.ports import Models
from orchestrator.strategies.beam_search import BeamSearch
from orchestrator.strategies.settings import Stepwise


@dataclass(frozen=True, slots=True, kw_only=True)
class DVTS(Stepwise):
    """``n / width`` independent trees, each a beam search of one beam (paper §3.1)."""

    label: ClassVar[str] = "DVTS"

    async def __call__(self, root: Node, models: Models) -> list[Node]:
        subtree = BeamSearch(**asdict(self) | {"n": self.width})
        trees = range(self.n // self.width)
        answers = await fan_out(subtree(root.fork(tree), models) for tree in trees)
        return [answer for subtree_answers in answers for answer in subtree_answers]
