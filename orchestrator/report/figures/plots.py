"""Accuracy against budget.

matplotlib is imported inside the functions, since it takes a second to load.
"""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from orchestrator.core.difficulty import BINS
from orchestrator.report.data.curves import Panel
from orchestrator.report.data.shown import row_name
from orchestrator.report.data.subsets import SubsetResult
from orchestrator.report.data.summary import SummaryRow
from orchestrator.report.data.wording import percent, scientific
from orchestrator.report.figures.grid import Grid, panel_title, reference_labels, side_by_side
from orchestrator.report.figures.style import (
    BLACK,
    COT_COLOUR,
    INK,
    INTERVAL_ON_BLACK,
    REFERENCE,
    ROUTED,
    look_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TOKENS = "policy + PRM tokens per problem"

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def accuracy_vs_n(panels: Sequence[Panel]) -> "Figure | None":
    """Accuracy by budget N, against the CoT of every larger policy."""
    panels = [panel for panel in panels if curve_rows(panel)]
    if not panels:
        return None
    grid = Grid(panels, panel_title, side_by_side(panels))
    budgets = [row.n for panel in panels for row in curve_rows(panel)]
    for panel, axes in grid.cells():
        budget_axis(axes, budgets)
        for curve in panel.curves:
            line(axes, curve.label, [(row.n, row_share(row)) for row in curve.rows])
    _against_larger(grid, [row for panel in panels for row in curve_rows(panel)])
    return grid.finish("budget N")


def accuracy_vs_tokens(panels: Sequence[Panel]) -> "Figure | None":
    """Accuracy by tokens: those the policy generated and those the PRM read.

    Routed cells, which have no N, are included.
    """
    shown = [row for panel in panels for row in _spending_rows(panel)]
    panels = [panel for panel in panels if _spending_rows(panel)]
    if not panels:
        return None
    grid = Grid(panels, panel_title, side_by_side(panels))
    for panel, axes in grid.cells():
        token_axis(axes, [tokens(row) for row in shown])
        for curve in panel.curves:
            line(axes, curve.label, [(tokens(row), row_share(row)) for row in curve.rows])
        routed_points(axes, by_tokens(panel.routed))
    _against_larger(grid, shown)
    return grid.finish(TOKENS)


def by_difficulty(panels: Sequence[Panel]) -> "Figure | None":
    """Accuracy in each difficulty bin, at the largest N that all of a panel's strategies ran."""
    ready = [panel for panel in panels if _bars(panel)]
    if not ready:
        return None
    grid = Grid(
        ready,
        lambda panel: panel_title(panel, f"N = {panel.largest_common_n}"),
        side_by_side(ready),
    )
    for panel, axes in grid.cells():
        bars = _bars(panel)
        problems = bars[0][2].by_difficulty
        bins = [bin for bin in BINS if bin in problems]
        width = 0.8 / len(bars)
        for place, (label, colour, row) in enumerate(bars):
            offset = (place - (len(bars) - 1) / 2) * width
            shares = [(at, row.by_difficulty[bin]) for at, bin in enumerate(bins)
                      if bin in row.by_difficulty]  # fmt: skip
            _series(axes, [(at + offset, share) for at, share in shares], width, colour, label)
        ticks = [f"{bin}\n{problems[bin]['problems']} problems" for bin in bins]
        axes.set_xticks(range(len(bins)), ticks)
        axes.tick_params(axis="x", length=0)
        axes.set_xlim(-0.5, len(bins) - 0.5)
    grid.limit(0, 100)
    return grid.finish(None)


AccuracyInterval = tuple[float, float, float]
"""An accuracy with the ends of its 95 % interval."""


def row_share(row: SummaryRow) -> AccuracyInterval:
    return row.accuracy, row.ci_low, row.ci_high


def bin_share(found: SubsetResult) -> AccuracyInterval:
    return found["accuracy"], found["ci_low"], found["ci_high"]


def line(axes: "Axes", label: str, points: Sequence[tuple[float, AccuracyInterval]]) -> None:
    """Draw one curve with the band of its intervals, if it has any points."""
    if not points:
        return
    look = look_of(label)
    at, shares = zip(*sorted(points), strict=True)
    height, low, high = ([100 * each for each in column] for column in zip(*shares, strict=True))
    if len(points) == 1:  # a band would have no width
        axes.vlines(at, low, high, color=look.colour, linewidth=0.8, alpha=0.6)
    axes.fill_between(at, low, high, color=look.colour, alpha=0.1, linewidth=0)
    axes.plot(
        at, height, color=look.colour, marker=look.marker, markeredgecolor="white",
        markeredgewidth=0.5, label=label,
    )  # fmt: skip


def routed_points(axes: "Axes", points: Sequence[tuple[str, float, AccuracyInterval]]) -> None:
    """Routed cells by name, tokens and accuracy; a line joins the budgets of one name."""
    for name, look in ROUTED.items():
        own = sorted((at, share) for named, at, share in points if named == name)
        if not own:
            continue
        heights = [100 * height for _, (height, _, _) in own]
        below = [100 * (height - low) for _, (height, low, _) in own]
        above = [100 * (high - height) for _, (height, _, high) in own]
        axes.errorbar(
            [at for at, _ in own], heights, yerr=[below, above], color=look.colour,
            marker=look.marker, markersize=9 if look.marker == "*" else 7, markeredgecolor=INK,
            markeredgewidth=0.5, elinewidth=0.8, linewidth=1.0, label=name, zorder=5,
        )  # fmt: skip


def by_tokens(rows: Sequence[SummaryRow]) -> list[tuple[str, float, AccuracyInterval]]:
    """Routed cells for ``routed_points``."""
    return [(row_name(row), tokens(row), row_share(row)) for row in rows]


def tokens(row: SummaryRow) -> float:
    """Tokens of policy and PRM per problem."""
    return (row.policy_tokens + row.prm_tokens) / row.problems


def curve_rows(panel: Panel) -> list[SummaryRow]:
    return [row for curve in panel.curves for row in curve.rows]


def budget_axis(axes: "Axes", budgets: Sequence[int]) -> None:
    """N, by its logarithm."""
    ticks = sorted(set(budgets))
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [str(n) for n in ticks])
    axes.set_xlim(ticks[0] / 2**0.25, ticks[-1] * 2**0.25)


def token_axis(axes: "Axes", spent: Sequence[float]) -> None:
    """Tokens, by their logarithm."""
    log_axis(axes, spent, thousands)


def log_axis(axes: "Axes", amounts: Sequence[float], label: Callable[[float], str]) -> None:
    """Amounts, by their logarithm; ``label`` writes those at the ticks."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axes.set_xscale("log")
    low, high = min(amounts) / 1.25, max(amounts) * 1.25
    axes.set_xlim(low, high)
    axes.set_xticks(decade_ticks(low, high))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda amount, _: label(amount)))
    axes.xaxis.set_minor_formatter(NullFormatter())


def power_of_ten(count: float) -> str:
    """``10⁸`` or ``3×10⁸``."""
    mantissa, _, exponent = scientific(count, 1).partition("e")
    power = "10" + exponent.translate(SUPERSCRIPTS)
    return power if mantissa == "1.0" else f"{float(mantissa):g}×{power}"


def thousands(count: float) -> str:
    """``500``, ``20k`` or ``3M``."""
    return (
        f"{count:g}" if count < 1e3 else f"{count / 1e3:g}k" if count < 1e6 else f"{count / 1e6:g}M"
    )


def decade_ticks(low: float, high: float) -> list[float]:
    """1, 10, 100 …, and ticks between them if fewer than three of those fit."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1,), (1, 3), (1, 2, 5), (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)):
        ticks = [factor * 10.0**decade for decade in decades for factor in factors]
        inside = [tick for tick in ticks if low <= tick <= high]
        if len(inside) >= 3:
            break
    return inside


def limits(shares: Sequence[AccuracyInterval]) -> tuple[float, float]:
    """The multiples of ten that enclose all intervals, in percent."""
    bottom = 10 * math.floor(10 * min(low for _, low, _ in shares))
    return bottom, 10 * math.ceil(10 * max(high for _, _, high in shares))


def _against_larger(grid: Grid[Panel], rows: Sequence[SummaryRow]) -> None:
    """Draw the CoT of larger policies as labelled lines, on the same y axis in all panels."""
    larger = [row for panel, _ in grid.cells() for row in panel.larger]
    grid.limit(*limits([row_share(row) for row in (*rows, *larger)]))
    for panel, axes in grid.cells():
        for row in panel.larger:
            axes.axhline(100 * row.accuracy, color=REFERENCE, linewidth=0.9, linestyle=(0, (4, 2)))
        labels = [
            (100 * row.accuracy, f"{row.policy}\nCoT {percent(row.accuracy)}")
            for row in panel.larger
        ]
        reference_labels(axes, labels)


def _spending_rows(panel: Panel) -> list[SummaryRow]:
    return [row for row in (*curve_rows(panel), *panel.routed) if tokens(row) > 0]


def _series(
    axes: "Axes",
    shares: Sequence[tuple[float, SubsetResult]],
    width: float,
    colour: str,
    label: str,
) -> None:
    """The bars of one strategy, each with its 95 % interval."""
    ink = INTERVAL_ON_BLACK if colour == BLACK else INK
    heights = [100 * share["accuracy"] for _, share in shares]
    below = [100 * (share["accuracy"] - share["ci_low"]) for _, share in shares]
    above = [100 * (share["ci_high"] - share["accuracy"]) for _, share in shares]
    axes.bar(
        [at for at, _ in shares], heights, 0.9 * width, color=colour, label=label,
        yerr=[below, above], error_kw={"elinewidth": 0.6, "ecolor": ink},
    )  # fmt: skip


def _bars(panel: Panel) -> list[tuple[str, str, SummaryRow]]:
    """Label, colour and row of each bar, CoT first; only rows that have bins."""
    n = panel.largest_common_n
    if n is None:
        return []
    bars = [("CoT", COT_COLOUR, panel.cot)] if panel.cot else []
    for curve in panel.curves:
        row = curve.at(n)
        if row is not None:
            bars.append((curve.label, look_of(curve.label).colour, row))
    return [bar for bar in bars if any(bin in bar[2].by_difficulty for bin in BINS)]
