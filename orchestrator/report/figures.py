"""A run's figures, as SVG for a paper and PNG for a page."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.report import plots
from orchestrator.report.curves import Panel, panels
from orchestrator.report.style import RC
from orchestrator.report.summary import Summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURES: dict[str, Callable[[Sequence[Panel]], "Figure | None"]] = {
    "accuracy_vs_n": plots.accuracy_vs_n,
    "accuracy_vs_tokens": plots.accuracy_vs_tokens,
    "by_difficulty": plots.by_difficulty,
}

DPI = 150


def draw(summary: Summary, folder: Path) -> list[Path]:
    """Draw every figure the summary has data for; return the files written.

    A run of several tasks gets a set of figures for each, the task's name appended to the files'.
    """
    import matplotlib

    by_task: dict[str, list[Panel]] = {}
    for panel in panels(summary):
        by_task.setdefault(panel.task, []).append(panel)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for task, task_panels in by_task.items():
        suffix = "" if len(by_task) == 1 else "-" + re.sub(r"[^\w.-]+", "-", task)
        for name, plot in FIGURES.items():
            with matplotlib.rc_context(RC):
                figure = plot(task_panels)
                if figure is not None:
                    written += _save(figure, folder, name + suffix)
    return written


def _save(figure: "Figure", folder: Path, name: str) -> list[Path]:
    svg, png = folder / f"{name}.svg", folder / f"{name}.png"
    figure.savefig(svg, metadata={"Date": None})
    figure.savefig(png, dpi=DPI)
    return [svg, png]
