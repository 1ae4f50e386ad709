"""What a tree search makes of its samples: the rules, as data.

The searches themselves are the same under either set. What the sets differ in is what becomes of
samples that are no ordinary step, and when the slot of a path is free again.
"""

from dataclasses import dataclass
from typing import Literal

from orchestrator.core.node import Finish

RulesName = Literal["paper", "orchard"]

TURNED_DOWN: frozenset[Finish] = frozenset({"overflow", "filtered", "refused"})
"""The ends of what a server does not take, or not as a whole."""

CUT: frozenset[Finish] = TURNED_DOWN | {"length"}
"""The ends of samples that are no whole step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpansionRules:
    """How a node becomes its children, and a level its beams.

    Of equal steps the first is kept, and cut ones are dropped; neither is drawn again.

    ``tries`` and ``root_tries`` are the requests that a node or the root may take to get one usable
    sample. A node without one is a dead end; of the root everything that the last request brings
    is kept, cut samples included.
    ``keep_blank``: a step without text is kept at value 0.0, as is every step after it. Otherwise
    it is dropped.
    ``dead_end_keeps_slot``: a dead end answers in the slot it was chosen for. Otherwise it competes
    with the children of the other beams.
    ``free_slots_late``: a finished path that ranks below the last open one still leaves its slot to
    the next level, and gives it up one level later.
    ``ties``: of equal values the child of the higher ``parent`` comes first, or the earlier
    ``path``.
    ``max_depth``: a path ends at this many steps.
    """

    tries: int = 3
    root_tries: int
    keep_blank: bool
    dead_end_keeps_slot: bool
    free_slots_late: bool
    ties: Literal["parent", "path"]
    max_depth: int = 40


RULES: dict[RulesName, ExpansionRules] = {
    "paper": ExpansionRules(
        root_tries=2,
        keep_blank=True,
        dead_end_keeps_slot=True,
        free_slots_late=True,
        ties="parent",
    ),
    "orchard": ExpansionRules(
        root_tries=3,
        keep_blank=False,
        dead_end_keeps_slot=False,
        free_slots_late=False,
        ties="path",
    ),
}
"""``paper``: what the authors' code does, decision for decision. ``orchard``: no request is spent
on a path that cannot answer any more, and no slot on one that has no answer."""
