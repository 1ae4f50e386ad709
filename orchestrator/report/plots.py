"""What each figure shows. matplotlib is imported where it is used: it takes a second to load."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from orchestrator.core.difficulty import BINS
from orchestrator.report.curves import Panel
from orchestrator.report.grid import Grid, reference_labels
from orchestrator.report.style import BLACK, COT_COLOUR, INK, INTERVAL_ON_BLACK, LOOKS, REFERENCE
from orchestrator.report.summary import BinAccuracy, Row
from orchestrator.report.wording import percent
from orchestrator.statistics import wilson

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def accuracy_vs_n(panels: Sequence[Panel]) -> "Figure | None":
    """Accuracy by budget N, against the CoT of every larger policy."""
    budgets = sorted({row.n for panel in panels for row in _rows(panel)})

    def axis(axes: "Axes") -> None:
        axes.set_xscale("log", base=2)
        axes.set_xticks(budgets, [str(n) for n in budgets])
        axes.set_xlim(budgets[0] / 2**0.25, budgets[-1] * 2**0.25)

    return _lines(panels, lambda row: row.n, axis, "budget N")


def accuracy_vs_tokens(panels: Sequence[Panel]) -> "Figure | None":
    """Accuracy by what was spent: the policy's generated tokens and those the PRM read."""

    def axis(axes: "Axes") -> None:
        from matplotlib.ticker import FuncFormatter, NullFormatter

        axes.set_xscale("log")
        spent = [_tokens(row) for panel in panels for row in _rows(panel) if _tokens(row) > 0]
        low, high = min(spent) / 1.25, max(spent) * 1.25
        axes.set_xlim(low, high)
        ticks = _decade_ticks(low, high)
        axes.set_xticks(ticks)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda tokens, _: _thousands(tokens)))
        axes.xaxis.set_minor_formatter(NullFormatter())

    if not any(_tokens(row) > 0 for panel in panels for row in _rows(panel)):
        return None
    return _lines(panels, _tokens, axis, "policy + PRM tokens per problem")


def by_difficulty(panels: Sequence[Panel]) -> "Figure | None":
    """Accuracy in each difficulty bin, at the largest N that all of a panel's strategies ran."""
    ready = [panel for panel in panels if _bars(panel)]
    if not ready:
        return None
    grid = Grid(ready, note=lambda panel: f"N = {panel.largest_common_n}")
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


def _lines(
    panels: Sequence[Panel], x: Callable[[Row], float], axis: Callable[["Axes"], None], xlabel: str
) -> "Figure | None":
    panels = [panel for panel in panels if _rows(panel)]
    if not panels:
        return None
    grid = Grid(panels)
    for panel, axes in grid.cells():
        axis(axes)
        for curve in panel.curves:
            look = LOOKS.get(curve.label)
            rows = sorted(curve.rows, key=x)
            if look is None or not rows:
                continue
            at = [x(row) for row in rows]
            low, high = [100 * row.ci_low for row in rows], [100 * row.ci_high for row in rows]
            axes.fill_between(at, low, high, color=look.colour, alpha=0.1, linewidth=0)
            axes.plot(
                at, [100 * row.accuracy for row in rows], color=look.colour, marker=look.marker,
                markeredgecolor="white", markeredgewidth=0.5, label=curve.label,
            )  # fmt: skip
        for row in panel.larger:
            axes.axhline(100 * row.accuracy, color=REFERENCE, linewidth=0.9, linestyle=(0, (4, 2)))
    shown = [row for panel in panels for row in (*_rows(panel), *panel.larger)]
    bottom = 10 * math.floor(10 * min(row.ci_low for row in shown))
    top = 10 * math.ceil(10 * max(row.ci_high for row in shown))
    grid.limit(bottom, top)
    for panel, axes in grid.cells():
        labels = [
            (100 * row.accuracy, f"{row.policy}\nCoT {percent(row.accuracy)}")
            for row in panel.larger
        ]
        reference_labels(axes, labels)
    return grid.finish(xlabel)


def _series(
    axes: "Axes",
    shares: Sequence[tuple[float, BinAccuracy]],
    width: float,
    colour: str,
    label: str,
) -> None:
    """The bars of one strategy, each with its 95 % interval."""
    ink = INTERVAL_ON_BLACK if colour == BLACK else INK
    heights, below, above = [], [], []
    for _, share in shares:
        low, high = wilson(round(share["accuracy"] * share["problems"]), share["problems"])
        heights.append(100 * share["accuracy"])
        below.append(100 * (share["accuracy"] - low))
        above.append(100 * (high - share["accuracy"]))
    axes.bar(
        [at for at, _ in shares], heights, 0.9 * width, color=colour, label=label,
        yerr=[below, above], error_kw={"elinewidth": 0.6, "ecolor": ink},
    )  # fmt: skip


def _rows(panel: Panel) -> list[Row]:
    return [row for curve in panel.curves if curve.label in LOOKS for row in curve.rows]


def _tokens(row: Row) -> float:
    return (row.policy_tokens + row.prm_tokens) / row.problems


def _bars(panel: Panel) -> list[tuple[str, str, Row]]:
    """Label, colour and row of each bar, CoT first; only of rows that have bins."""
    n = panel.largest_common_n
    bars = [("CoT", COT_COLOUR, panel.cot)] if panel.cot else []
    for curve in panel.curves:
        row = curve.at(n) if n else None
        if row is not None and curve.label in LOOKS:
            bars.append((curve.label, LOOKS[curve.label].colour, row))
    return [bar for bar in bars if bar[2].by_difficulty]


def _thousands(tokens: float) -> str:
    return f"{tokens:g}" if tokens < 1000 else f"{tokens / 1000:g}k"


def _decade_ticks(low: float, high: float) -> list[float]:
    """1, 10, 100 …; where fewer than three of them fit, others between them too."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1,), (1, 3), (1, 2, 5)):
        ticks = [factor * 10.0**decade for decade in decades for factor in factors]
        inside = [tick for tick in ticks if low <= tick <= high]
        if len(inside) >= 3:
            break
    return inside
