"""Accuracy in each difficulty bin, against N and tokens, and the best strategy of each bin."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from orchestrator.core.difficulty import BINS, EASY_FROM, MEDIUM_FROM, Bin
from orchestrator.report.data.curves import Panel
from orchestrator.report.data.shown import row_name
from orchestrator.report.data.summary import SummaryRow
from orchestrator.report.data.winners import contenders, winner
from orchestrator.report.figures.grid import Grid, panel_title
from orchestrator.report.figures.plots import (
    TOKENS,
    AccuracyInterval,
    bin_share,
    budget_axis,
    curve_rows,
    limits,
    line,
    routed_points,
    token_axis,
)
from orchestrator.report.figures.style import FAINT, INK, LABEL_SIZE, look_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 2.4
"""The width of a bin's panel in inches: three fill a page."""

PASS_AT_1 = {
    "easy": f"from {100 * EASY_FROM:.0f} %", "medium": f"from {100 * MEDIUM_FROM:.0f} %",
    "hard": f"below {100 * MEDIUM_FROM:.0f} %",
}  # fmt: skip

CELL_WIDTH, CELL_HEIGHT = 0.8, 0.42
DARK = ("#000000", "#0072B2", "#D55E00", "#009E73")
"""Fill colours that need white text."""


class BinPanel(NamedTuple):
    panel: Panel
    bin: Bin


def accuracy_vs_n_by_bin(panels: Sequence[Panel]) -> "Figure | None":
    """Accuracy by budget N in each difficulty bin."""
    budgets = [row.n for panel in panels for row in curve_rows(panel)]
    return _lines(panels, by_budget, lambda axes, _: budget_axis(axes, budgets), "budget N")


def accuracy_vs_tokens_by_bin(panels: Sequence[Panel]) -> "Figure | None":
    """Accuracy in each difficulty bin by the tokens spent on the bin's problems."""
    return _lines(panels, by_spending, token_axis, TOKENS)


def by_budget(row: SummaryRow, bin: Bin) -> float:
    return row.n


def by_spending(row: SummaryRow, bin: Bin) -> float:
    """Tokens per problem of the bin."""
    return row.by_difficulty[bin]["tokens"]


def winners(panels: Sequence[Panel]) -> "Figure | None":
    """The strategy that answers most problems of each bin, for every policy and PRM.

    Compared at the largest N that all strategies of a panel ran. An oracle's choice: it is chosen
    and measured on the same problems.
    """
    rows = [panel for panel in panels if len(contenders(panel)) > 1 and _bins([panel])]
    if not rows:
        return None
    from matplotlib.figure import Figure

    bins = _bins(rows)
    sizes = {panel.largest_common_n for panel in rows}
    at_n = f"N = {sizes.pop()}" if len(sizes) == 1 else "each row's largest common N"
    size = 1.15 + CELL_WIDTH * len(bins), 0.75 + CELL_HEIGHT * len(rows)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    for at, panel in enumerate(rows):
        for place, bin in enumerate(bins):
            _square(axes, place, at, winner(bin, contenders(panel)), bin)
    axes.set_xlim(-0.5, len(bins) - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xticks(range(len(bins)), [f"{bin}\n({PASS_AT_1[bin]})" for bin in bins])
    axes.set_yticks(range(len(rows)), [panel_title(panel) for panel in rows])
    axes.tick_params(length=0, labeltop=True, labelbottom=False, labelsize=LABEL_SIZE)
    axes.spines[:].set_visible(False)
    figure.supxlabel(
        f"most % right at {at_n}, with 95 % interval;\nchosen and measured on the same problems",
        fontsize=LABEL_SIZE,
    )
    return figure


def _square(axes: "Axes", x: int, y: int, best: tuple[str, SummaryRow] | None, bin: Bin) -> None:
    from matplotlib.patches import Rectangle

    label, row = best or ("", None)
    share = row.by_difficulty[bin] if row else None
    none = share is None or share["accuracy"] == 0
    colour = FAINT if none else look_of(label).colour
    axes.add_patch(Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, facecolor=colour, edgecolor="none"))
    if share is None or row is None:
        return
    name = "none" if none else label
    low, high = 100 * share["ci_low"], 100 * share["ci_high"]
    axes.text(
        x, y, f"{name}\n{100 * share['accuracy']:.0f} [{low:.0f}, {high:.0f}]", ha="center",
        va="center", fontsize=LABEL_SIZE, color="white" if colour in DARK else INK,
    )  # fmt: skip


def _lines(
    panels: Sequence[Panel],
    x: Callable[[SummaryRow, Bin], float],
    axis: Callable[["Axes", Sequence[float]], None],
    xlabel: str,
) -> "Figure | None":
    ready = [panel for panel in panels if _bins([panel])]
    bins = _bins(ready)
    cells = [BinPanel(panel, bin) for panel in ready for bin in bins]
    curves = [_curves(cell, x) for cell in cells]
    routed = [[] if x is by_budget else _routed(cell) for cell in cells]
    shown = [point for each in curves for curve in each.values() for point in curve]
    shown += [(at, share) for each in routed for _, at, share in each]
    if not shown:
        return None
    grid = Grid(cells, lambda each: panel_title(each.panel, _named(each)), len(bins), WIDTH)
    for (_, axes), each, stars in zip(grid.cells(), curves, routed, strict=True):
        axis(axes, [at for at, _ in shown])
        for label, curve in each.items():
            line(axes, label, curve)
        routed_points(axes, stars)
    grid.limit(*limits([share for _, share in shown]))
    return grid.finish(xlabel)


def _curves(
    cell: BinPanel, x: Callable[[SummaryRow, Bin], float]
) -> dict[str, list[tuple[float, AccuracyInterval]]]:
    """The points of each curve in the bin."""
    return {
        curve.label: [
            (x(row, cell.bin), bin_share(row.by_difficulty[cell.bin]))
            for row in curve.rows
            if cell.bin in row.by_difficulty and x(row, cell.bin) > 0
        ]
        for curve in cell.panel.curves
    }


def _routed(cell: BinPanel) -> list[tuple[str, float, AccuracyInterval]]:
    """The routed cells, which have no N, by their tokens on the bin."""
    return [
        (row_name(row), by_spending(row, cell.bin), bin_share(row.by_difficulty[cell.bin]))
        for row in cell.panel.routed
        if cell.bin in row.by_difficulty and by_spending(row, cell.bin) > 0
    ]


def _named(each: BinPanel) -> str:
    counts = [
        row.by_difficulty[each.bin]["problems"]
        for row in curve_rows(each.panel)
        if each.bin in row.by_difficulty
    ]
    return f"{each.bin} ({max(counts, default=0)})"


def _bins(panels: Sequence[Panel]) -> list[Bin]:
    """The bins in which any curve has problems."""
    rows = [row for panel in panels for row in curve_rows(panel)]
    return [bin for bin in BINS if any(bin in row.by_difficulty for row in rows)]
