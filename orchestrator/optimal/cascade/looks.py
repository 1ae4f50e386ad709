"""What the looks at a problem show, of one policy and across several."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from orchestrator.core.voting import Majority, Weighted, elect
from orchestrator.optimal.cascade.plan import Look
from orchestrator.optimal.difficulty.evidence import Pilot, features

OF_SEVERAL = ("agreement", "backing", "entropy", "spread", "best", "score", "weight")
"""Features that say nothing of one solution, or the same as another feature."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one look shows by itself: its ``features``, the number of the pilot whose answer leads
    (the ``winner``; None where none states an answer) and the class of that answer."""

    features: Mapping[str, float]
    winner: int | None
    leading: int | None


def seen(look: Look, drawn: Sequence[Pilot], characters: int = 0) -> Seen:
    """What a look shows of a question of so many ``characters`` (0: unknown) and of its policy's
    solutions, the greedy one first. More may be drawn, or scored, than it shows.

    Its features are those of ``difficulty.evidence``, and where it is known also the ``tail`` and
    the ``lowest`` of the greedy solution's confidence.
    """
    pilots = list(drawn[: look.pilots])
    if look.prm is None:
        pilots = [replace(each, scores=()) for each in pilots]
    found = features(pilots, characters)
    if not pilots:
        return Seen(features=found, winner=None, leading=None)
    if len(pilots) == 1:
        found = {name: value for name, value in found.items() if name not in OF_SEVERAL}
    if (confidence := pilots[0].confidence) is not None:
        found |= {"tail": confidence.tail, "lowest": confidence.lowest}
    classes = [each.answer for each in pilots]
    vote = Weighted("last") if look.prm is not None else Majority()
    winner = elect(vote, pilots, classes).winner
    return Seen(features=found, winner=winner, leading=None if winner is None else classes[winner])


def shown(
    taken: Sequence[Look], drawn: Mapping[str, Sequence[Pilot]], characters: int = 0
) -> dict[str, float]:
    """The evidence after the looks ``taken``, in this order, at a question of so many
    ``characters`` (0: unknown).

    ``drawn`` holds the solutions of each policy by its name, the greedy one first; answers that are
    equal have one class, whichever policy gave them. A policy's last look counts: its features go
    by ``policy/feature``, and ``policy/same/other`` is 1 where its leading answer is that of a
    policy looked at before.
    """
    found: dict[str, float] = {}
    leading: dict[str, int | None] = {}
    for look in last_looks(taken):
        each = seen(look, drawn.get(look.policy, ()), characters)
        found |= {f"{look.policy}/{name}": value for name, value in each.features.items()}
        found |= {
            same(look.policy, other): float(each.leading is not None and each.leading == theirs)
            for other, theirs in leading.items()
        }
        leading[look.policy] = each.leading
    return found


def last_looks(taken: Sequence[Look]) -> list[Look]:
    """The last look at each policy, in the order in which policies were first looked at."""
    return list({look.policy: look for look in taken}.values())


def same(policy: str, other: str) -> str:
    """The name of the feature that two policies' leading answers are the same."""
    return f"{policy}/same/{other}"
