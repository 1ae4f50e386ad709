"""A run's figures, as SVG for a paper and PNG for a page."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.core.records import Record
from orchestrator.plain_text import plain
from orchestrator.report.data.curves import Panel, panels
from orchestrator.report.data.summary import Summary
from orchestrator.report.figures import bin_plots, plots
from orchestrator.report.figures.across_models import accuracy_vs_cost, accuracy_vs_flops
from orchestrator.report.figures.pareto import pareto
from orchestrator.report.figures.spending import spending
from orchestrator.report.figures.style import RC
from orchestrator.report.figures.votes_plot import accuracy_by_vote

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURES: dict[str, Callable[[Sequence[Panel]], "Figure | None"]] = {
    "accuracy_vs_n": plots.accuracy_vs_n,
    "accuracy_vs_tokens": plots.accuracy_vs_tokens,
    "by_difficulty": plots.by_difficulty,
    "accuracy_vs_n_by_bin": bin_plots.accuracy_vs_n_by_bin,
    "accuracy_vs_tokens_by_bin": bin_plots.accuracy_vs_tokens_by_bin,
    "winners": bin_plots.winners,
    "pareto": pareto,
}

OF_ALL_POLICIES: dict[str, Callable[[Summary], "Figure | None"]] = {
    "accuracy_vs_flops": accuracy_vs_flops,
    "accuracy_vs_cost": accuracy_vs_cost,
}

_DPI = 150


def draw(summary: Summary, records: Sequence[Record], folder: Path) -> list[Path]:
    """Draw every figure there is data for; return the files written.

    A run of several tasks gets a set of figures for each, the task's name appended to the files'.
    """
    import matplotlib

    by_task: dict[str, list[Panel]] = {row.task: [] for row in summary.rows}
    for panel in panels(summary):
        by_task[panel.task].append(panel)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for task, task_panels in by_task.items():
        suffix = "" if len(by_task) == 1 else "-" + re.sub(r"[^\w.-]+", "-", task)
        own = [record for record in records if record.task == task]
        of_task = replace(summary, rows=tuple(row for row in summary.rows if row.task == task))
        with matplotlib.rc_context(RC):
            drawn = {name: plot(task_panels) for name, plot in FIGURES.items()}
            drawn["spending"] = spending(own)
            drawn["votes"] = accuracy_by_vote(of_task, own)
            drawn |= {name: plot(of_task) for name, plot in OF_ALL_POLICIES.items()}
            for name, figure in drawn.items():
                if figure is not None:
                    written += save(figure, folder, name + suffix)
    return written


def save(figure: "Figure", folder: Path, name: str) -> list[Path]:
    """Write a figure, its texts made safe to display; return the files."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_text(plain(text.get_text()))
    svg, png = folder / f"{name}.svg", folder / f"{name}.png"
    figure.savefig(png, dpi=_DPI)
    figure.set_layout_engine("none")  # laid out once, for both
    figure.savefig(svg, metadata={"Date": None})
    return [svg, png]
