"""What the looks at a problem show, of one policy and across several."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from orchestrator.core.voting import Majority, Weighted, elect
from orchestrator.optimal.cascade.plan import Look
from orchestrator.optimal.difficulty.evidence import Pilot, features

SAME = "same"
"""Whether two policies' leading answers are the same."""


def shown(taken: Sequence[Look], drawn: Mapping[str, Sequence[Pilot]]) -> dict[str, float]:
    """The evidence after the looks ``taken``, in this order.

    ``drawn`` holds the solutions of each policy by its name, the greedy one first; answers that are
    equal have one class, whichever policy gave them. More may be drawn, or scored, than a look
    shows. A policy's last look counts: its features go by ``policy/feature``, and
    ``policy/same/other`` is 1 where its leading answer is that of the policy looked at before.
    """
    last = {look.policy: look for look in taken}
    found: dict[str, float] = {}
    leading: dict[str, int | None] = {}
    for policy, look in last.items():
        seen = _seen(look, drawn[policy])
        answer = _leading(seen)
        found |= {f"{policy}/{name}": value for name, value in _features(seen).items()}
        found |= {
            f"{policy}/{SAME}/{other}": float(answer is not None and answer == theirs)
            for other, theirs in leading.items()
        }
        leading[policy] = answer
    return found


def _seen(look: Look, drawn: Sequence[Pilot]) -> list[Pilot]:
    pilots = list(drawn[: look.pilots])
    return pilots if look.prm is not None else [replace(each, scores=()) for each in pilots]


_ALONE = ("agreement", "backing", "entropy", "spread", "best", "score", "weight")
"""What says nothing, or the same as something else, of one solution."""


def _features(seen: Sequence[Pilot]) -> dict[str, float]:
    found = features(seen)
    if len(seen) > 1:
        return found
    return {name: value for name, value in found.items() if name not in _ALONE}


def _leading(seen: Sequence[Pilot]) -> int | None:
    """The class of the answer that the pilots elect, by their scores where they have any."""
    classes = [each.answer for each in seen]
    winner = elect(Weighted("last") if seen[0].scores else Majority(), seen, classes).winner
    return None if winner is None else classes[winner]
