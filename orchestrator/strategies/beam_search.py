"""Beam search under a process reward model."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from orchestrator.core.fanout import fan_out
from orchestrator.core.ports import PRM, Policy
from orchestrator.core.selection import best
from orchestrator.core.stopping import dominates
from orchestrator.core.tree import Node
from orchestrator.strategies.growth import grow
from orchestrator.strategies.settings import Stepwise


@dataclass(frozen=True, slots=True, kw_only=True)
class BeamSearch(Stepwise):
    """Keep the best ``n / width`` paths of each level and grow each ``width`` ways (paper §3.1).

    The root grows ``n`` ways. A path that finishes keeps its slot, so ``n / width`` answers come
    back; fewer with ``stop: dominated``, which ends the search when no open path is worth more than
    the best finished one.
    """

    uses_prm: ClassVar[bool] = True

    stop: Literal["dominated"] | None = None

    async def __call__(self, root: Node, policy: Policy, prm: PRM) -> list[Node]:
        answers: list[Node] = []
        level = await grow(root, self.n, self.sampling, self.max_depth, policy, prm)
        while level:
            beams = best(level, self.n // self.width - len(answers), self.reward)
            answers += [beam for beam in beams if beam.is_finished]
            open_paths = [beam for beam in beams if not beam.is_finished]
            if self.stop and dominates(answers, open_paths, self.reward):
                break
            grown = await fan_out(
                grow(beam, self.width, self.sampling, self.max_depth, policy, prm)
                for beam in open_paths
            )
            level = [child for children in grown for child in children]
        return answers
