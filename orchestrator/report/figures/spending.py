"""The tokens that routed cells spent, by the predicted difficulty of each problem."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from orchestrator.core.difficulty import BINS, EASY_FROM, MEDIUM_FROM
from orchestrator.core.records import Record, Route
from orchestrator.report.data.cells import CellRecords, gather
from orchestrator.report.data.curves import BY_CONFIDENCE
from orchestrator.report.data.shown import budget_in_words, routed_name
from orchestrator.report.data.wording import model_name
from orchestrator.report.figures.grid import Grid
from orchestrator.report.figures.plots import thousands
from orchestrator.report.figures.style import COT, LABEL_SIZE, REFERENCE, look_of
from orchestrator.strategies.building import label_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TOKENS_SPENT = "policy + PRM tokens"

BORDERS = (0.0, MEDIUM_FROM, EASY_FROM, 1.0)
"""The borders of the bins in predicted pass@1, from hard to easy."""

RoutedProblems = Sequence[tuple[Record, Route]]
"""The routed problems of a cell, each with its route."""


def spending(records: Iterable[Record]) -> "Figure | None":
    """Tokens of policy and PRM by predicted pass@1; one panel per routed cell.

    Each problem is a point in the colour of the strategy it was given.
    """
    routed = [_routed(cell) for cell in gather(records)]
    cells = [cell for cell in routed if cell]
    if not cells:
        return None
    from matplotlib.ticker import FuncFormatter, NullFormatter

    grid = Grid(cells, _title, min(2, len(cells)))
    spent = [_tokens(record) for cell in cells for record, _ in cell]
    for cell, axes in grid.cells():
        axes.set_yscale("log")
        axes.set_ylim(max(1, min(spent)) / 1.4, max(spent) * 2.5)  # room for the bins' names
        axes.yaxis.set_major_formatter(FuncFormatter(lambda count, _: thousands(count)))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_xlim(-0.02, 1.02)
        axes.set_xlabel(f"predicted pass@1\n{_shares(cell)}")
        for border in BORDERS[1:-1]:
            axes.axvline(border, color=REFERENCE, linewidth=0.8, linestyle=(0, (4, 2)))
        for bin, (low, high) in zip(reversed(BINS), pairwise(BORDERS), strict=True):
            axes.annotate(
                bin, ((low + high) / 2, 1), xycoords=("data", "axes fraction"), xytext=(0, -2),
                textcoords="offset points", ha="center", va="top", fontsize=LABEL_SIZE,
                color=REFERENCE,
            )  # fmt: skip
        for label in dict.fromkeys(_label(route) for _, route in cell):
            look = COT if label == "CoT" else look_of(label)
            own = [
                (route.predicted, _tokens(record))
                for record, route in cell
                if _label(route) == label and route.predicted is not None
            ]
            axes.plot(
                *zip(*own, strict=True),
                color=look.colour, marker=look.marker, linestyle="none", markersize=3.5,
                alpha=0.6, markeredgewidth=0, label=label,
            )  # fmt: skip
    return grid.finish(None, TOKENS_SPENT)


def _label(route: Route) -> str:
    """The label of a problem's strategy and vote."""
    if route.strategy == "best_of_n" and route.vote.startswith("weighted"):
        return "weighted vote"
    if route.strategy == "majority" and route.vote != "majority":
        return BY_CONFIDENCE
    return label_of(route.strategy)


def _tokens(record: Record) -> int:
    return record.policy_tokens + record.prm_tokens


def _routed(cell: CellRecords) -> RoutedProblems:
    """None across models, where tokens do not compare."""
    records = [each for each in cell.records.values() if not each.models]
    return [(each, each.route) for each in records if each.route is not None]


def _title(cell: RoutedProblems) -> str:
    first = cell[0][0]
    budget = f", {budget_in_words(first.settings)}" if first.settings.get("budget") else ""
    under = f" under {first.prm}" if first.prm else ""
    name = model_name(first.policy, first.policy_params)
    return f"{routed_name(first.settings)}{budget}\n{name}{under}"


def _shares(cell: RoutedProblems) -> str:
    """Each bin's share of the problems and of the tokens."""
    problems = {bin: [record for record, route in cell if route.bin == bin] for bin in BINS}
    spent = {bin: sum(map(_tokens, problems[bin])) for bin in BINS}
    total = sum(spent.values()) or 1
    counted = [f"{100 * len(problems[bin]) / len(cell):.0f} % {bin}" for bin in reversed(BINS)]
    used = [f"{100 * spent[bin] / total:.0f} % {bin}" for bin in reversed(BINS)]
    return f"problems: {', '.join(counted)}\ntokens: {', '.join(used)}"
