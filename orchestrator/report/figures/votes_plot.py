"""Accuracy by vote, over the same samples."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestrator.core.records import Record
from orchestrator.report.data.cells import cells_by_id, vote_order
from orchestrator.report.data.summary import Summary
from orchestrator.report.data.votes import MAJORITY, CellVotes, VoteResult, VotesByN, votes_by_n
from orchestrator.report.figures.grid import RIGHT, Grid, panel_title, side_by_side
from orchestrator.report.figures.plots import limits, row_share
from orchestrator.report.figures.style import FAINT, INK, PANEL_HEIGHT, REFERENCE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OF_MAJORITY = "majority at the largest N"
NOT_SHOWN = "hollow: not shown to differ from majority of that N"

DOT_HEIGHT = 0.075
"""Inches that one dot needs to stand clear of the next."""


def accuracy_by_vote(summary: Summary, records: Sequence[Record]) -> "Figure | None":
    """The accuracy of each kind of vote over the samples of one policy and PRM, a dot for each N.

    It is filled where the vote is shown to be better or worse than the majority of these samples.
    Votes stand in their usual order, not by accuracy: no row is there for having done best.
    """
    panels = votes_by_n(summary, cells_by_id(records))
    if not panels:
        return None
    dots = max(len(_votes(panel)) * len(panel.cells) for panel in panels)
    height = max(PANEL_HEIGHT, DOT_HEIGHT * dots + 0.9)  # 0.9: the title and the axis
    grid = Grid(panels, panel_title, side_by_side(panels), height=height)
    results = [each for panel in panels for cell in panel.cells for each in cell.results]
    low, high = limits([row_share(each.row) for each in results])
    colours = _shades([cell.row.n for panel in panels for cell in panel.cells])
    for panel, axes in grid.cells():
        axes.set_xlim(low, high)
        axes.grid(visible=False, axis="y")
        axes.grid(axis="x", color=FAINT, linewidth=0.5)
        _dots(axes, panel, colours)
    axes.plot(
        [], [], marker="o", markersize=4, markerfacecolor="white", markeredgecolor=INK,
        linestyle="none", label=NOT_SHOWN,
    )  # fmt: skip
    return grid.finish(RIGHT, None, [_label(n) for n in sorted(colours)])


def _dots(axes: "Axes", panel: VotesByN, colours: dict[int, str]) -> None:
    votes = _votes(panel)
    axes.set_yticks(range(len(votes)), votes)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(votes) - 0.5, -0.5)
    largest = _majority(panel.cells[-1])
    axes.axvline(
        100 * largest.row.accuracy, color=REFERENCE, linewidth=0.9, linestyle=(0, (4, 2)),
        label=OF_MAJORITY, zorder=1,
    )  # fmt: skip
    for place, cell in enumerate(panel.cells):
        offset = 0.75 * ((place + 0.5) / len(panel.cells) - 0.5)
        colour = colours[cell.row.n]
        axes.plot([], [], color=colour, marker="o", linestyle="none", label=_label(cell.row.n))
        for result in cell.results:
            accuracy, low, high = (100 * share for share in row_share(result.row))
            at = votes.index(result.row.vote) + offset
            axes.hlines(at, low, high, color=colour, linewidth=0.9, zorder=2)
            axes.plot(
                [accuracy], [at], marker="o", markersize=4, color=colour, zorder=3,
                markerfacecolor=colour if _is_shown(result) else "white",
            )  # fmt: skip


def _votes(panel: VotesByN) -> list[str]:
    """The votes of a panel, majority first."""
    found = {each.row.vote for cell in panel.cells for each in cell.results}
    return sorted(found, key=vote_order)


def _majority(cell: CellVotes) -> VoteResult:
    return next(each for each in cell.results if each.row.vote == MAJORITY)


def _is_shown(result: VoteResult) -> bool:
    return result.over_majority is None or result.over_majority.verdict != "not shown"


def _shades(ns: Sequence[int]) -> dict[int, str]:
    """A colour for each N, darker as it grows."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    blues, found = colormaps["Blues"], sorted(set(ns))
    return {n: to_hex(blues(1 - 0.55 * i / len(found))) for i, n in enumerate(reversed(found))}


def _label(n: int) -> str:
    return f"N = {n}"
