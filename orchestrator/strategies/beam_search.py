"""Beam search under a process reward model."""

from dataclasses import dataclass
from typing import Literal

from orchestrator.core.fanout import fan_out
from orchestrator.core.node import Node
from orchestrator.core.ports import Models
from orchestrator.core.selection import Family, select
from orchestrator.core.stopping import dominates
from orchestrator.strategies.expansion import expand
from orchestrator.strategies.settings import Stepwise


@dataclass(frozen=True, slots=True, kw_only=True)
class BeamSearch(Stepwise):
    """Keep the best ``n / width`` paths of each level and expand each ``width`` ways (paper §3.1).

    The root is expanded ``n`` ways. A path that finishes keeps its slot, so ``n / width`` answers
    come back; fewer with ``stop: dominated``, which ends the search when no open path is worth more
    than the best finished one.
    """

    stop: Literal["dominated"] | None = None

    async def __call__(self, root: Node, models: Models) -> list[Node]:
        slots, answers = self.n // self.width, list[Node]()
        beams, width = [root], self.n
        sampling, rules = self.sampling, self.expansion
        while beams:
            grown = await fan_out(expand(beam, width, models, sampling, rules) for beam in beams)
            level = map(Family, beams, grown)
            ended, beams = select(level, slots - len(answers), self.reward, rules)
            answers += ended
            finished = [beam for beam in beams if beam.is_finished]
            open_paths = [beam for beam in beams if not beam.is_finished]
            if self.stop and dominates([*answers, *finished], open_paths, self.reward):
                return [*answers, *finished][:slots]
            width = self.width
        return answers
