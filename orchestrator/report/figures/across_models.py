"""Accuracy against FLOPs and against money, of all policies in one panel: which model, and how much
search?"""

from collections.abc import Callable, Sequence
from itertools import cycle
from typing import TYPE_CHECKING

from orchestrator.core.records import AUTO
from orchestrator.report.data.cells import BASELINE, size_order
from orchestrator.report.data.shown import shown_rows
from orchestrator.report.data.summary import Summary, SummaryRow
from orchestrator.report.data.wording import dollars, model_name
from orchestrator.report.figures.grid import Grid
from orchestrator.report.figures.pareto import front
from orchestrator.report.figures.plots import (
    limits,
    log_axis,
    power_of_ten,
    routed_points,
    row_share,
)
from orchestrator.report.figures.style import (
    ACROSS,
    COT,
    FRONT,
    INK,
    PANEL_WIDTH,
    POLICIES,
    REFERENCE,
    ROUTED,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def flops(row: SummaryRow) -> float:
    """Per problem; 0 where it is not known."""
    return row.flops.total / row.problems if row.flops else 0.0


def cost(row: SummaryRow) -> float:
    """USD per problem."""
    return row.cost / row.problems


def accuracy_vs_flops(summary: Summary) -> "Figure | None":
    """Accuracy by FLOPs of policy and PRM together."""
    return _figure(summary, flops, "FLOPs of policies and PRMs per problem", power_of_ten)


def accuracy_vs_cost(summary: Summary) -> "Figure | None":
    """Accuracy by what the models charge."""
    return _figure(summary, cost, "USD per problem", dollars)


def _figure(
    summary: Summary,
    used: Callable[[SummaryRow], float],
    xlabel: str,
    ticks: Callable[[float], str],
) -> "Figure | None":
    """Every cell whose use is known. None where they are all of one policy, and tokens compare."""
    rows = [row for row in shown_rows(summary) if used(row) > 0]
    sizes = _policies(rows)
    if len(sizes) < 2:
        return None
    grid = Grid([rows], lambda rows: rows[0].task, 1, 1.6 * PANEL_WIDTH)
    ((_, axes),) = grid.cells()
    log_axis(axes, list(map(used, rows)), ticks)
    ahead = front([row for row in rows if row.strategy != AUTO], used)
    reach = [*map(used, ahead), max(map(used, rows))]
    heights = [100 * row.accuracy for row in ahead]
    axes.plot(
        reach, [*heights, *heights[-1:]], color=REFERENCE, linewidth=0.9, drawstyle="steps-post",
        label=FRONT, zorder=1,
    )  # fmt: skip
    for kind, (marker, size) in _MARKERS.items():
        own = [(row, used(row)) for row in rows if _kind(row) == kind]
        if own and kind:  # one entry of the legend for all policies
            axes.plot([], [], color=INK, marker=marker, linestyle="none", label=kind)
        for colour, policy in zip(cycle(POLICIES), sizes, strict=False):
            theirs = [(row, at) for row, at in own if row.policy == policy]
            axes.plot(
                [at for _, at in theirs], [100 * row.accuracy for row, _ in theirs], color=colour,
                marker=marker, markersize=size, linestyle="none", markeredgewidth=0.2,
                markeredgecolor=INK, zorder=3,
                label=None if kind else model_name(policy, sizes[policy]),
            )  # fmt: skip
    across = [row for row in rows if row.models]
    routed_points(axes, [(ACROSS, used(row), row_share(row)) for row in across])
    grid.limit(*limits([row_share(row) for row in rows]))
    return grid.finish(xlabel)


_MARKERS = {"": ("o", 4), "CoT": (COT.marker, 6), "auto": (ROUTED["auto"].marker, 7)}
"""The marker and its size, by the kind of a cell of one policy."""


def _kind(row: SummaryRow) -> str | None:
    if row.models:
        return None
    return {BASELINE: "CoT", AUTO: "auto"}.get(row.strategy, "")


def _policies(rows: Sequence[SummaryRow]) -> dict[str, int | None]:
    """The policies of cells of one policy, from small to large, with their sizes."""
    sizes = {row.policy: row.policy_params for row in rows if not row.models}
    return {
        name: sizes[name] for name in sorted(sizes, key=lambda name: size_order(sizes[name], name))
    }
