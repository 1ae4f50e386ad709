"""Panels side by side, with one legend above."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from orchestrator.report.data.wording import model_name
from orchestrator.report.figures.style import (
    FAINT,
    FRONT,
    LABEL_SIZE,
    LEGEND_HEIGHT,
    LOOKS,
    PANEL_HEIGHT,
    PANEL_WIDTH,
    REFERENCE,
    ROUTED,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

T = TypeVar("T")


class OfModels(Protocol):
    """A panel of one policy under one PRM, or none."""

    @property
    def policy(self) -> str: ...

    @property
    def policy_params(self) -> int | None: ...

    @property
    def prm(self) -> str | None: ...


RIGHT = "right answers, %"


class Grid(Generic[T]):
    """A figure with one titled panel for each of ``panels``, ``columns`` in a row."""

    def __init__(
        self,
        panels: Sequence[T],
        title: Callable[[T], str],
        columns: int,
        width: float = PANEL_WIDTH,
        height: float = PANEL_HEIGHT,
    ) -> None:
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine

        self.columns = columns
        self.rows = -(-len(panels) // self.columns)
        size = width * self.columns, height * self.rows + LEGEND_HEIGHT
        self.figure: Figure = Figure(
            figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.06, hspace=0.04)
        )
        self._cells = list(zip(panels, self._axes(len(panels)), strict=True))
        for panel, axes in self._cells:
            axes.set_title(title(panel), loc="left", pad=6)
            axes.grid(axis="y", color=FAINT, linewidth=0.5)

    def cells(self) -> Iterator[tuple[T, "Axes"]]:
        return iter(self._cells)

    def limit(self, low: float, high: float) -> None:
        """Give all panels the same y axis, in percent, with room for points on its border."""
        room = 0.02 * (high - low)
        for _, axes in self._cells:
            axes.set_ylim(low - (room if low > 0 else 0), high + room)

    def finish(
        self, xlabel: str | None, ylabel: str | None = RIGHT, first: Sequence[str] = ()
    ) -> "Figure":
        """Label the outer axes and put one legend on top. It begins with the labels ``first``."""
        for place, (_, axes) in enumerate(self._cells):
            if ylabel and place % self.columns == 0:
                axes.set_ylabel(ylabel)
            if xlabel and place + self.columns >= len(self._cells):
                axes.set_xlabel(xlabel)
        found: dict[str, Any] = {}
        for _, axes in self._cells:
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
                found.setdefault(label, _opaque(handle))
        others = sorted(found.keys() - {*first, "CoT", *LOOKS, *ROUTED, FRONT})
        order = (*first, "CoT", *LOOKS, *others, *ROUTED, FRONT)
        labels = [label for label in order if label in found]
        self.figure.legend(
            handles=[found[label] for label in labels], labels=labels, loc="outside upper center",
            ncols=min(len(labels), 3 * self.columns), frameon=False,
            columnspacing=1.2, handlelength=1.6, handletextpad=0.5,
        )  # fmt: skip
        return self.figure

    def _axes(self, count: int) -> list["Axes"]:
        return [self.figure.add_subplot(self.rows, self.columns, i + 1) for i in range(count)]


def _opaque(handle: Any) -> Any:
    """A copy of a legend's handle without transparency."""
    from matplotlib.lines import Line2D

    if not isinstance(handle, Line2D) or handle.get_alpha() is None:
        return handle
    plain = Line2D([], [])
    plain.update_from(handle)
    plain.set_alpha(1.0)
    plain.set_markersize(max(4.0, handle.get_markersize()))
    return plain


def reference_labels(axes: "Axes", labels: Sequence[tuple[float, str]]) -> None:
    """Label horizontal lines at the right of the axes, moving labels apart that would touch."""
    low, high = axes.get_ylim()
    lines = max((text.count("\n") + 1 for _, text in labels), default=1)
    # Title and tick labels take about a third of a panel's height.
    gap = lines * LABEL_SIZE * 1.4 / (PANEL_HEIGHT * 72 * 0.7) * (high - low)
    labels = sorted(labels)
    places = spread([at for at, _ in labels], gap, low + gap / 2, high - gap / 2)
    for at, (_, text) in zip(places, labels, strict=True):
        axes.annotate(
            text, (1, at), xytext=(4, 0), xycoords=("axes fraction", "data"),
            textcoords="offset points", va="center", ha="left", fontsize=LABEL_SIZE,
            color=REFERENCE, annotation_clip=False,
        )  # fmt: skip


def spread(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move ascending ``places`` as little as a sweep can, until neighbours are ``gap`` apart.

    They stay within ``low`` and ``high`` as long as there is room for all.
    """
    moved: list[float] = []
    for place in places:
        moved.append(max(place, low, moved[-1] + gap if moved else low))
    ceiling = high
    for index in reversed(range(len(moved))):
        moved[index] = min(moved[index], ceiling)
        ceiling = moved[index] - gap
    return moved


def side_by_side(panels: Sequence[OfModels]) -> int:
    """How many panels fit a row, so that a policy's PRMs share one if possible."""
    prms = len({panel.prm for panel in panels})
    return prms if prms in (2, 3) else min(2, len(panels))


def panel_title(panel: OfModels, note: str = "") -> str:
    """The policy with its size, and its PRM below."""
    name = model_name(panel.policy, panel.policy_params)
    under = [f"under {panel.prm}"] if panel.prm else []
    return name + "\n" + ", ".join([*under, note] if note else under)
