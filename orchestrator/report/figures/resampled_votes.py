"""The accuracy of votes by number of samples, as a profile resampled them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.core.confidence import MEASURES
from orchestrator.core.voting import VOTES, ByConfidence, Majority, Max, Weighted
from orchestrator.optimal.profile import PASS, Profile, Resampled
from orchestrator.report.data.wording import model_name
from orchestrator.report.figures.draw import save
from orchestrator.report.figures.grid import Grid, spread
from orchestrator.report.figures.plots import budget_axis, limits
from orchestrator.report.figures.style import (
    KINDS_OF_VOTES,
    LABEL_SIZE,
    PANEL_HEIGHT,
    RC,
    REFERENCE,
    Marking,
    look_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAJORITY = Majority.name

WITH_INTERVAL = "majority, 95 % band"
ORACLE = "pass@n, an oracle"

LINES = dict(zip(MEASURES, ("-", (0, (4, 1.5)), (0, (1, 1.2))), strict=True))
"""How each measure of confidence is drawn."""

SIGNS = dict(zip(MEASURES, ("—", "– –", "···"), strict=True))
"""The same beside a vote's name."""


@dataclass(frozen=True, slots=True)
class VotePanel:
    """A panel: its ``title``, and the curves of votes of a kind beside the majority's."""

    title: str
    votes: tuple[str, ...]


def draw_resampled(profile: Profile, folder: Path, name: str) -> list[Path]:
    """Draw the votes of a profile; return the files written, none for a single number of
    samples."""
    import matplotlib

    if len({each.n for each in profile.samples}) < 2:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(RC):
        return save(accuracy_by_samples(profile), folder, name)


def accuracy_by_samples(profile: Profile) -> "Figure":
    """Votes by PRM scores, those that trust the scores less, and votes by confidence, each beside
    the majority and pass@n of the same samples.

    All curves are of the same problems, and what makes these hard or easy moves all of them: the
    majority's band stands for that, and the other curves have none.
    """
    curves = {
        vote: sorted((each for each in profile.samples if each.vote == vote), key=lambda at: at.n)
        for vote in dict.fromkeys(each.vote for each in profile.samples)
    }
    panels = _panels([vote for vote in curves if vote not in (MAJORITY, PASS)])
    grid = Grid(panels, lambda panel: _title(profile, panel), len(panels))
    shown = [(each.accuracy, each.accuracy, each.accuracy) for each in profile.samples]
    band = [(each.accuracy, each.low, each.high) for each in curves.get(MAJORITY, ())]
    grid.limit(*limits([*shown, *band]))
    for panel, axes in grid.cells():
        budget_axis(axes, [each.n for each in profile.samples])
        if oracle := curves.get(PASS):
            axes.plot(*_points(oracle), color=REFERENCE, linewidth=0.9, linestyle=":", label=ORACLE)
        if majority := curves.get(MAJORITY):
            _majority(axes, majority)
        for vote in panel.votes:
            look = _look(vote)
            axes.plot(
                *_points(curves[vote]), color=look.colour, linestyle=_line(vote),
                marker=look.marker, markersize=3.5, markeredgecolor="white", markeredgewidth=0.4,
                linewidth=1.1,
            )  # fmt: skip
        _name_ends(axes, {vote: curves[vote][-1] for vote in panel.votes})
    return grid.finish("samples n")


def _panels(votes: Sequence[str]) -> list[VotePanel]:
    kinds: dict[str, list[str]] = {}
    for vote in votes:
        match VOTES[vote]:
            case Weighted() | Max():
                title = "votes by PRM scores"
            case ByConfidence():
                title = "votes by confidence, no PRM"
            case _:
                title = "votes that trust the PRM less"
        kinds.setdefault(title, []).append(vote)
    return [VotePanel(title, tuple(own)) for title, own in kinds.items()] or [
        VotePanel("majority", ())
    ]


def _title(profile: Profile, panel: VotePanel) -> str:
    name = model_name(profile.policy.name, profile.policy.parameters)
    under = f" under {profile.prm.name}" if profile.prm else ""
    return f"{name}{under}\n{panel.title}"


def _majority(axes: "Axes", points: Sequence[Resampled]) -> None:
    look = look_of(MAJORITY)
    ns, accuracies = _points(points)
    low, high = (
        [100 * end for end in ends] for ends in zip(*((p.low, p.high) for p in points), strict=True)
    )
    axes.fill_between(ns, low, high, color=look.colour, alpha=0.1, linewidth=0)
    axes.plot(
        ns, accuracies, color=look.colour, marker=look.marker, markeredgecolor="white",
        markeredgewidth=0.5, label=WITH_INTERVAL,
    )  # fmt: skip


def _points(points: Sequence[Resampled]) -> tuple[list[int], list[float]]:
    return [each.n for each in points], [100 * each.accuracy for each in points]


def _look(vote: str) -> Marking:
    return KINDS_OF_VOTES[type(VOTES[vote]).__name__]


def _line(vote: str) -> object:
    value = VOTES[vote]
    return LINES[value.measure] if isinstance(value, ByConfidence) else "-"


def _label(vote: str) -> str:
    value = VOTES[vote]
    return f"{vote} {SIGNS[value.measure]}" if isinstance(value, ByConfidence) else vote


def _name_ends(axes: "Axes", ends: dict[str, Resampled]) -> None:
    """Write each vote beside the end of its curve, in its colour, apart from its neighbours."""
    low, high = axes.get_ylim()
    gap = LABEL_SIZE * 1.35 / (PANEL_HEIGHT * 72 * 0.7) * (high - low)
    ordered = sorted(ends, key=lambda vote: ends[vote].accuracy)
    heights = [100 * ends[vote].accuracy for vote in ordered]
    places = spread(heights, gap, low + gap / 2, high - gap / 2)
    for vote, at in zip(ordered, places, strict=True):
        axes.annotate(
            _label(vote), (1, at), xytext=(4, 0), xycoords=("axes fraction", "data"),
            textcoords="offset points", va="center", ha="left", fontsize=LABEL_SIZE,
            color=_look(vote).colour, annotation_clip=False,
        )  # fmt: skip
