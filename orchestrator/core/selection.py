"""Which nodes live on. Pure functions, which the tree searches share."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from heapq import heappush, nsmallest
from typing import NamedTuple

from orchestrator.core.expansion_rules import CUT, TURNED_DOWN, ExpansionRules
from orchestrator.core.node import Node
from orchestrator.core.rewards import Reward, value

SEPARATOR = "\n\n"
"""What a whole step ends with (paper: a blank line)."""


class Family(NamedTuple):
    """A beam and what it was expanded to: its children, or itself where it is finished."""

    beam: Node
    grown: Sequence[Node]

    @property
    def is_dead_end(self) -> bool:
        return not self.beam.is_finished and [n.path for n in self.grown] == [self.beam.path]


class Selected(NamedTuple):
    """``answers`` took a slot for good; ``beams``, best first, are the next level."""

    answers: list[Node]
    beams: list[Node]


def select(level: Iterable[Family], slots: int, reward: Reward, rules: ExpansionRules) -> Selected:
    """The answers that a level comes to, and the beams of the next one.

    ``level`` is in the order of its beams. ``slots`` are those that no answer holds yet.
    """
    answers: list[Node] = []
    families: list[Family] = []
    room = slots
    for family in level:
        if family.beam.is_finished or (rules.dead_end_keeps_slot and family.is_dead_end):
            answers += family.grown
            if len(answers) == slots:
                return Selected(answers, [])
        else:
            room = slots - len(answers)
            families.append(Family(family.beam, _ranked(family.grown, reward)[:room]))
    if not rules.free_slots_late:
        room = slots - len(answers)
    choose = best_by_parent if rules.ties == "parent" else best_by_path
    beams = choose(families, room, reward)
    return Selected(answers, up_to_the_last_slot(beams, slots - len(answers)))


def _ranked(nodes: Iterable[Node], reward: Reward) -> list[Node]:
    """Best first; of equal values the earlier sample."""
    return sorted(nodes, key=lambda node: -value(node.scores, reward))


def best(nodes: Iterable[Node], count: int, reward: Reward) -> list[Node]:
    """The ``count`` nodes of the highest value, best first; ties go to the earlier path."""
    return sorted(nodes, key=lambda node: (-value(node.scores, reward), node.path))[:count]


def best_by_path(families: Iterable[Family], count: int, reward: Reward) -> list[Node]:
    """The ``count`` best of all children; ties go to the earlier path."""
    return best((child for family in families for child in family.grown), count, reward)


def best_by_parent(families: Iterable[Family], count: int, reward: Reward) -> list[Node]:
    """The ``count`` best of all children; ties go to the child of the higher parent.

    Where the parents tie too, the order is what ``heapq`` makes of equal entries. The authors
    select with these calls, and the same calls in the same order are the same choice.
    """
    heap: list[tuple[float, float, _Equal]] = []
    for beam, children in families:
        parent = -value(beam.scores, reward)
        for child in children:
            heappush(heap, (-value(child.scores, reward), parent, _Equal(child)))
    return [equal.node for *_, equal in nsmallest(count, heap)]


class _Equal:
    """A node in a heap, neither above nor below another."""

    __slots__ = ("node",)

    def __init__(self, node: Node) -> None:
        self.node = node

    def __lt__(self, other: "_Equal") -> bool:
        return False


def up_to_the_last_slot(beams: Sequence[Node], slots: int) -> list[Node]:
    """``beams`` without those behind the finished one that takes the last of the ``slots``: they
    cannot answer any more, and expanding them would be paid for nothing."""
    kept = []
    for beam in beams:
        kept.append(beam)
        slots -= beam.is_finished
        if not slots:
            break
    return kept


def usable(children: Iterable[Node], rules: ExpansionRules) -> list[Node]:
    """The children that are whole steps, of equal ones the first."""
    kept: dict[str, Node] = {}
    for child in children:
        step = _step(child)
        if child.finish not in CUT and (step or rules.keep_blank):
            kept.setdefault(step, child)
    return list(kept.values())


def everything(children: Iterable[Node], rules: ExpansionRules) -> list[Node]:
    """What there is to keep where no child is usable: steps that ran out of tokens too.

    Such a step is finished, unless it ends as a whole one does. Of equal steps the last is kept, in
    the place of the first.
    """
    kept: dict[str, Node] = {}
    for child in children:
        step = _step(child)
        if child.finish not in TURNED_DOWN and (step or rules.keep_blank):
            goes_on = child.finish == "length" and child.steps[-1].endswith(SEPARATOR)
            kept[step] = replace(child, finish=None) if goes_on else child
    return list(kept.values())


def _step(child: Node) -> str:
    return child.steps[-1].strip() if child.steps else ""
