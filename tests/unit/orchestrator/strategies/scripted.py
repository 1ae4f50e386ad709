"""Worlds in which every sample and every value is scripted, small enough to read."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.core.node import FORKS, Finish, Node
from orchestrator.core.ports import Sampling
from orchestrator.core.rewards import value
from orchestrator.testing.fakes import SEPARATOR

Sample = tuple[str, str]
"""A text and the ``finish_reason`` a server gives for it."""

Answer = tuple[tuple[str, ...], float]
"""The steps of a path without the white space around them, and its value."""


@dataclass(slots=True, kw_only=True)
class ScriptedWorld:
    """A policy and a PRM. ``samples`` holds what each request about a path comes to, in order, and
    ``values`` what a path is worth. Paths are steps joined by "/", in DVTS after the number of
    their tree, with "_" for a step without text.

    A request for more samples than there are gets the last one again.
    """

    samples: Mapping[str, Sequence[Sequence[Sample]]]
    values: Mapping[str, float]
    asked: Counter[str] = field(default_factory=Counter)
    scored: list[str] = field(default_factory=list)

    async def extend(self, node: Node, n: int, sampling: Sampling) -> list[Node]:
        path = _path(node)
        found = self.samples[path][self.asked[path]]
        self.asked[path] += 1
        return [
            node.child(i, (text,), finish=_finish(text, reason))
            for i, (text, reason) in enumerate([*found, *[found[-1]] * n][:n])
        ]

    async def score(self, nodes: Sequence[Node]) -> list[Node]:
        self.scored += map(_path, nodes)
        return [node.scored((*node.scores, self.values[_path(node)])) for node in nodes]


def answers(leaves: Sequence[Node]) -> list[Answer]:
    return [
        (tuple(step.strip() for step in leaf.steps), value(leaf.scores, "last")) for leaf in leaves
    ]


def _path(node: Node) -> str:
    tree = f"{node.path[0] - FORKS}:" if node.path and node.path[0] >= FORKS else ""
    return tree + "/".join(step.strip() or "_" for step in node.steps)


def _finish(text: str, reason: str) -> Finish | None:
    """As a policy over HTTP reads it."""
    if reason == "length":
        return "length"
    if text.endswith(SEPARATOR):
        return None
    return "stop" if text.strip() else "empty"
