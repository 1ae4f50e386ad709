"""An evaluation's figures: one panel for each PRM and data set, as SVG and PNG."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.evaluation.evaluate import Evaluation
from orchestrator.evaluation.length import Group
from orchestrator.report.data.prm_summary import PRMSummary
from orchestrator.report.figures.draw import save
from orchestrator.report.figures.style import (
    FAINT,
    INK,
    LEGEND_HEIGHT,
    PANEL_HEIGHT,
    PANEL_WIDTH,
    RC,
    REFERENCE,
    Marking,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RIGHT = Marking("#0072B2", "o")
WRONG = Marking("#D55E00", "^")
F1 = Marking("#000000", "")
FEWEST = 3
"""Means over fewer solutions than this are left out."""


def draw_prms(summary: PRMSummary, folder: Path) -> list[Path]:
    """Draw every figure there is data for; return the files written."""
    import matplotlib

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, plot in FIGURES.items():
        with matplotlib.rc_context(RC):
            figure = plot(summary)
            if figure is not None:
                written += save(figure, folder, name)
    return written


def reliability(summary: PRMSummary) -> "Figure | None":
    """Share of right steps by score, against the diagonal, over a histogram of the scores."""
    rows = [row for row in summary.rows if row.calibration is not None]
    if not rows:
        return None
    from matplotlib.ticker import FuncFormatter

    panels = _Panels(rows, summary, height=PANEL_HEIGHT * 1.35, split=True)
    most = max(bin.steps for row in rows if row.calibration for bin in row.calibration.bins)
    for row, axes, below in panels.pairs():
        assert row.calibration is not None
        bins = row.calibration.bins
        axes.plot([0, 1], [0, 1], color=REFERENCE, linewidth=0.9, linestyle=(0, (4, 2)),
                  label="calibrated")  # fmt: skip
        at, share = [bin.mean_score for bin in bins], [bin.right for bin in bins]
        low = [bin.right - bin.low for bin in bins]
        high = [bin.high - bin.right for bin in bins]
        axes.errorbar(
            at, share, yerr=[low, high], color=RIGHT.colour, marker=RIGHT.marker, linestyle="",
            markeredgecolor="white", markeredgewidth=0.5, elinewidth=0.8, label="the PRM",
        )  # fmt: skip
        axes.plot(at, share, color=RIGHT.colour, linewidth=0.6, alpha=0.5)
        axes.set_ylim(-0.03, 1.03)
        axes.tick_params(labelbottom=False)
        text = f"ECE {row.calibration.ece:.3f}\nBrier {row.calibration.brier:.3f}"
        axes.text(0.97, 0.06, text, transform=axes.transAxes, ha="right", va="bottom", fontsize=7)
        width = bins[0].end - bins[0].start
        below.bar(
            [bin.start + width / 2 for bin in bins], [bin.steps for bin in bins], 0.9 * width,
            color=RIGHT.colour, alpha=0.6,
        )  # fmt: skip
        below.set_yscale("log")
        below.yaxis.set_major_formatter(FuncFormatter(lambda steps, _: f"{steps:,.0f}"))
        below.set_ylim(0.7, most * 2)
        for each in (axes, below):
            each.set_xlim(-0.02, 1.02)
    return panels.finish("score of a step", "share right", "steps")


def score_by_steps(summary: PRMSummary) -> "Figure | None":
    """PRM-Last by the number of steps, of right and of wrong solutions."""
    rows = [
        row
        for row in summary.rows
        if row.by_length is not None
        and any(group.count >= FEWEST for group in (*row.by_length.right, *row.by_length.wrong))
    ]
    if not rows:
        return None
    from matplotlib.ticker import MaxNLocator

    panels = _Panels(rows, summary)
    for row, axes in panels.cells():
        assert row.by_length is not None
        for groups, look, label in (
            (row.by_length.right, RIGHT, "right solutions"),
            (row.by_length.wrong, WRONG, "wrong solutions"),
        ):
            _means(axes, groups, look, label)
        axes.set_ylim(-0.03, 1.03)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return panels.finish("steps of the solution", "mean score (last)")


def f1_by_threshold(summary: PRMSummary) -> "Figure | None":
    """F1 and the two accuracies it combines, at every threshold."""
    rows = [row for row in summary.rows if row.samples]
    if not rows:
        return None
    panels = _Panels(rows, summary)
    for row, axes in panels.cells():
        curve = row.f1_curve
        for values, look, label in (
            (curve.right, RIGHT, "right: no error seen"),
            (curve.wrong, WRONG, "wrong: first error found"),
            (curve.f1, F1, "F1"),
        ):
            if values is not None:
                shares = [100 * value for value in values]
                axes.plot(curve.thresholds, shares, color=look.colour, label=label)
        axes.axvline(summary.threshold, color=REFERENCE, linewidth=0.9, linestyle=(0, (4, 2)),
                     label=f"threshold {summary.threshold:g}")  # fmt: skip
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-3, 103)
    return panels.finish("threshold", "samples, %")


FIGURES: dict[str, Callable[[PRMSummary], "Figure | None"]] = {
    "reliability": reliability,
    "score_by_steps": score_by_steps,
    "f1_by_threshold": f1_by_threshold,
}


def _means(axes: "Axes", groups: Sequence[Group], look: Marking, label: str) -> None:
    """Means with their 95 % intervals."""
    shown = [group for group in groups if group.count >= FEWEST]
    if not shown:
        return
    at, means = [group.at for group in shown], [group.mean for group in shown]
    low = [group.mean if group.low is None else group.low for group in shown]
    high = [group.mean if group.high is None else group.high for group in shown]
    axes.fill_between(at, low, high, color=look.colour, alpha=0.15, linewidth=0)
    axes.plot(
        at, means, color=look.colour, marker=look.marker, markeredgecolor="white",
        markeredgewidth=0.5, label=label,
    )  # fmt: skip


class _Panels:
    """A figure with one panel per row; the PRMs of a data set are side by side.

    With ``split`` each panel has a lower one that shares its x axis.
    """

    def __init__(
        self,
        rows: Sequence[Evaluation],
        summary: PRMSummary,
        height: float = PANEL_HEIGHT,
        split: bool = False,
    ) -> None:
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine

        prms = len({row.prm for row in rows})
        order = list(summary.data)
        rows = sorted(rows, key=lambda row: order.index(row.data)) if prms in (2, 3) else rows
        self.columns = prms if prms in (2, 3) else min(2, len(rows))
        down = -(-len(rows) // self.columns)
        size = PANEL_WIDTH * self.columns, height * down + LEGEND_HEIGHT
        self.figure = Figure(
            figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.06, hspace=0.04)
        )
        outer = self.figure.add_gridspec(down, self.columns)
        self._panels: list[tuple[Evaluation, Axes, Axes]] = []
        for number, row in enumerate(rows):
            place = outer[number // self.columns, number % self.columns]
            if split:
                parts = place.subgridspec(2, 1, height_ratios=(3, 1), hspace=0.05)
                axes = self.figure.add_subplot(parts[0])
                below = self.figure.add_subplot(parts[1], sharex=axes)
            else:
                axes = below = self.figure.add_subplot(place)
            axes.set_title(f"{row.prm}\n{row.data}", loc="left", pad=6)
            for each in (axes, below):
                each.grid(axis="y", color=FAINT, linewidth=0.5)
            self._panels.append((row, axes, below))

    def cells(self) -> list[tuple[Evaluation, "Axes"]]:
        return [(row, axes) for row, axes, _ in self._panels]

    def pairs(self) -> list[tuple[Evaluation, "Axes", "Axes"]]:
        return self._panels

    def finish(self, xlabel: str, ylabel: str, below: str | None = None) -> "Figure":
        """Label the outer axes and put one legend on top."""
        found: dict[str, Any] = {}
        for number, (_, axes, lower) in enumerate(self._panels):
            if number % self.columns == 0:
                axes.set_ylabel(ylabel)
                if below is not None:
                    lower.set_ylabel(below)
            if number + self.columns >= len(self._panels):
                lower.set_xlabel(xlabel)
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
                found.setdefault(label, handle)
        self.figure.legend(
            handles=list(found.values()), labels=list(found), loc="outside upper center",
            ncols=min(len(found), 2 * self.columns), frameon=False, labelcolor=INK,
            columnspacing=1.2, handlelength=1.6, handletextpad=0.5,
        )  # fmt: skip
        return self.figure
