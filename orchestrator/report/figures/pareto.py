"""Accuracy against tokens: every cell of a policy and PRM, and their Pareto front."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from orchestrator.report.data.curves import Panel
from orchestrator.report.data.summary import SummaryRow
from orchestrator.report.figures.grid import Grid, panel_title, side_by_side
from orchestrator.report.figures.plots import (
    TOKENS,
    by_tokens,
    limits,
    routed_points,
    row_share,
    token_axis,
    tokens,
)
from orchestrator.report.figures.style import COT, FRONT, INK, REFERENCE, look_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def pareto(panels: Sequence[Panel]) -> "Figure | None":
    """Accuracy against tokens of all fixed cells, their Pareto front, and the routed cells."""
    ready = [panel for panel in panels if len(_points(panel)) + len(panel.routed) > 1]
    if not ready:
        return None
    grid = Grid(ready, panel_title, side_by_side(ready))
    fixed = [row for panel in ready for _, row in _points(panel)]
    shown = [*fixed, *(row for panel in ready for row in panel.routed)]
    for panel, axes in grid.cells():
        token_axis(axes, [tokens(row) for row in shown])
        ahead = front([row for _, row in _points(panel)])
        if ahead:
            reach = [*map(tokens, ahead), axes.get_xlim()[1]]
            heights = [100 * row.accuracy for row in ahead]
            axes.plot(
                reach, [*heights, heights[-1]], color=REFERENCE, linewidth=0.9,
                drawstyle="steps-post", label=FRONT, zorder=1,
            )  # fmt: skip
        for label, row in _points(panel):
            look = COT if label == "CoT" else look_of(label)
            is_ahead = row in ahead
            axes.plot(
                [tokens(row)], [100 * row.accuracy], color=look.colour, marker=look.marker,
                linestyle="none", markersize=5, label=label, zorder=3, markeredgecolor=INK,
                markeredgewidth=0.8 if is_ahead else 0.2, alpha=1.0 if is_ahead else 0.55,
            )  # fmt: skip
            if is_ahead:
                ends = 100 * row.ci_low, 100 * row.ci_high
                axes.vlines(tokens(row), *ends, color=look.colour, linewidth=0.8, zorder=2)
        routed_points(axes, by_tokens(panel.routed))
    grid.limit(*limits([row_share(row) for row in shown]))
    return grid.finish(TOKENS)


def front(
    rows: Sequence[SummaryRow], used: Callable[[SummaryRow], float] = tokens
) -> list[SummaryRow]:
    """The rows that are better than every cheaper one, cheapest first."""
    found: list[SummaryRow] = []
    for row in sorted(rows, key=lambda row: (used(row), -row.accuracy)):
        if not found or row.accuracy > found[-1].accuracy:
            found.append(row)
    return found


def _points(panel: Panel) -> list[tuple[str, SummaryRow]]:
    """Every fixed cell that used tokens, with its label."""
    cot = [("CoT", panel.cot)] if panel.cot else []
    points = [(curve.label, row) for curve in panel.curves for row in curve.rows]
    return [(label, row) for label, row in (*cot, *points) if tokens(row) > 0]
