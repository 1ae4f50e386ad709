"""The votes over the same samples for the terminal, each against their majority."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from orchestrator.report.data.shown import row_name
from orchestrator.report.data.votes import CellVotes, ShownVotes, VoteResult
from orchestrator.report.data.wording import SHOWN, counted, model_name, percent, points

COLUMNS = {
    "rank": ("", 3), "vote": ("\nvote", 0), "right": ("right\n%", 5),
    "interval": ("\n95 % interval", 14), "over": ("over\nmajority", 8),
    "paired": ("\n95 % interval", 14), "shown": ("\nshown", 6),
}  # fmt: skip
"""Headings, and the widths of the longest contents but for votes."""

DROPPED_FIRST = ("interval", "shown", "paired")
"""The columns that a narrow terminal drops, in this order."""


def votes_table(shown: ShownVotes) -> RenderableType:
    """A table for each cell, the most accurate vote first, and how to read them."""
    name = max(len(each.row.vote) for one in shown.cells for each in one.results)
    several_tasks = len({one.row.task for one in shown.cells}) > 1
    parts: list[RenderableType] = []
    for one in shown.cells:
        parts.append(Text(_title(one, several_tasks), style="bold"))
        parts.append(Padding(_Votes(one, name), (0, 0, 1, 0)))
    return Group(*parts, Text("\n".join(_notes(shown)), style="dim"))


@dataclass(frozen=True, slots=True)
class _Votes:
    """The votes of one cell. In a narrow terminal columns are dropped rather than cut."""

    votes: CellVotes
    name: int
    """The width of the longest vote, in all tables."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        widths = {key: width for key, (_, width) in COLUMNS.items()} | {"vote": self.name}
        for dropped in DROPPED_FIRST:
            if sum(widths.values()) + len(widths) - 1 > options.max_width:
                del widths[dropped]
        table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
        for key, width in widths.items():
            if key == "vote":
                table.add_column(COLUMNS[key][0], min_width=width, overflow="fold")
            else:
                heading = COLUMNS[key][0]
                table.add_column(heading, justify="right", min_width=width, no_wrap=True)
        for result in self.votes.results:
            cells = _cells(self.votes, result)
            is_better = cells["shown"] == SHOWN["better"]
            table.add_row(*(cells[key] for key in widths), style="bold green" if is_better else "")
        yield table


def _cells(votes: CellVotes, result: VoteResult) -> dict[str, str]:
    row, found = result.row, result.over_majority
    return {
        "rank": f"{votes.rank(result)}{'=' if votes.is_tied(result) else ' '}",
        "vote": row.vote,
        "right": percent(row.accuracy),
        "interval": f"[{percent(row.ci_low)}, {percent(row.ci_high)}]",
        "over": points(found.difference) if found else "–",
        "paired": f"[{points(found.ci_low)}, {points(found.ci_high)}]" if found else "–",
        "shown": SHOWN[found.verdict] if found else "–",
    }


def _title(votes: CellVotes, several_tasks: bool) -> str:
    row = votes.row
    name = model_name(row.policy, row.policy_params) + (f" under {row.prm}" if row.prm else "")
    task = f"{row.task}: " if several_tasks else ""
    return f"{task}{name}: {row_name(row)}, N = {row.n}, {counted(row.problems, 'problems')}"


def _notes(shown: ShownVotes) -> Iterator[str]:
    differences = [each for one in shown.cells for each in one.results if each.over_majority]
    yield (
        "Over majority: points more than the majority of the same samples, paired by problem. "
        "Shown is what the paired interval and the exact sign test agree on; of "
        f"{counted(len(differences), 'comparisons')} about "
        f"{max(1, round(len(differences) / 20))} would be by chance."
    )
    yield (
        "The order is that of these very problems, so the vote on top is a flattering pick: choose "
        "by other problems, as a profile does. = as accurate as another."
    )
    yield from _by_majority(shown.cells)
    if shown.hidden_votes:
        yield (
            "One vote of each kind is shown, chosen without regard to accuracy; `--all-votes` adds "
            f"{counted(shown.hidden_votes, 'rows')}."
        )
    if shown.hidden_cells:
        yield (
            f"{counted(shown.hidden_cells, 'more cells')} took several votes: `--cell TEXT` shows "
            "those with TEXT in their name."
        )


def _by_majority(compared: Sequence[CellVotes]) -> Iterator[str]:
    """Where a vote had nothing to go by: no scores, or no log-probabilities."""
    for one in compared:
        alike: dict[int, list[str]] = {}
        for each in one.results:
            if each.row.by_majority:
                alike.setdefault(each.row.by_majority, []).append(each.row.vote)
        for problems, votes in alike.items():
            yield (
                f"{_title(one, False)}: on {problems} of them no sample had what the vote goes by, "
                f"and the majority decided: {', '.join(votes)}."
            )
