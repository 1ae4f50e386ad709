"""A run's summary for the terminal: the headline in words, the tables, the best by difficulty."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.panel import Panel as Box
from rich.table import Table
from rich.text import Text

from orchestrator.core.difficulty import BINS, Bin
from orchestrator.report.data.cells import BASELINE
from orchestrator.report.data.curves import panels
from orchestrator.report.data.difficulty import FEWEST_SAMPLES, UNKNOWN
from orchestrator.report.data.ends import ends_in_words
from orchestrator.report.data.shown import groups, row_name, shown_rows
from orchestrator.report.data.summary import Summary, SummaryRow
from orchestrator.report.data.winners import Contender, contenders, winner
from orchestrator.report.data.wording import (
    EMULATED,
    amount,
    counted,
    dollars,
    model_name,
    percent,
)
from orchestrator.report.tables.sentences import headline_sentences

NUMBERS = (
    ("right %", 7),
    ("95 % interval", 14),
    ("policy\ntokens", 6),
    ("PRM\ntokens", 6),
)
"""Columns and the widths of their longest numbers."""

COST = ("cost\n$", 7)
"""An extra column if a run cost money."""

MERGED_BINS = ("easy/med/hard", 13)

DROPPED_FIRST = (MERGED_BINS, NUMBERS[3], NUMBERS[2], COST, NUMBERS[1])
"""The columns that a narrow terminal drops, in this order."""

BEST = "*"


def report(summary: Summary) -> RenderableType:
    """The whole report, from the headline to the notes. Each strategy is shown under one vote (see
    ``curves``); ``summary.json`` has all votes."""
    if not summary.rows:
        return Text("No records yet.")
    return Group(
        *headline(summary),
        *tables(summary),
        *best_by_difficulty(summary),
        _DroppedColumns(_Names.of(shown_rows(summary)), any(r.cost for r in summary.rows)),
        *_notes(summary),
    )


def headline(summary: Summary) -> list[RenderableType]:
    """The comparison that the config names as the headline, in plain English."""
    if summary.headline is None:
        return []
    text = Text("\n").join(Text(line) for line in headline_sentences(summary.headline))
    return [Padding(Box(text, title="headline", title_align="left"), (0, 0, 1, 0))]


def tables(summary: Summary) -> Iterator[RenderableType]:
    """One table for each policy and PRM, their columns aligned from table to table."""
    shown = shown_rows(summary)
    best, names = _best(shown), _Names.of(shown)
    paid = any(row.cost for row in summary.rows)
    several_tasks = len({row.task for row in shown}) > 1
    for group in groups(shown):
        yield Text(_title(group[0], several_tasks), style="bold")
        yield Padding(_Columns(group, best, names, paid), (0, 0, 1, 0))


def best_by_difficulty(summary: Summary) -> list[RenderableType]:
    """For each policy and PRM: the best strategy of each bin, at the largest N that all ran."""
    lines = []
    for panel in panels(summary):
        n = panel.largest_common_n
        rows = contenders(panel)
        winners = [f"{bin}: {winner}" for bin in BINS if (winner := _winner(bin, rows))]
        if len(rows) > 1 and winners:
            under = f" under {panel.prm}" if panel.prm else ""
            name = model_name(panel.policy, panel.policy_params)
            lines.append(Text(f"{name}{under}, N = {n}", style="bold"))
            lines += [Text(f"  {winner}") for winner in winners]
    if not lines:
        return []
    heading = Text(
        "Best strategy by difficulty (chosen and measured on the same problems: an oracle's choice)"
    )
    return [heading, *lines, Text()]


@dataclass(frozen=True, slots=True)
class _Layout:
    """Which columns fit a width, and how far apart.

    In a narrow terminal columns stand closer. If that is not enough, the bins share a column
    without decimals, then names wrap, and finally columns are dropped. Strategy, N, vote and
    accuracy stay.
    """

    columns: tuple[tuple[str, int], ...]
    gap: int
    is_compact: bool
    wraps: bool
    dropped: tuple[str, ...] = ()

    @classmethod
    def of(cls, room: int, names: "_Names", *, paid: bool) -> "_Layout":
        numbers = (*NUMBERS, COST) if paid else NUMBERS
        bins = tuple((bin, max(len(bin), len("100.0"))) for bin in BINS)

        def width(columns: Sequence[tuple[str, int]], gap: int, strategy: int) -> int:
            widths = [strategy, names.n, names.vote, *(width for _, width in columns)]
            return sum(widths) + gap * (len(widths) - 1)

        columns = (*numbers, *bins)
        gap = 2 if width(columns, 2, names.strategy) <= room else 1
        is_compact = width(columns, gap, names.strategy) > room
        if is_compact:
            columns = (*numbers, MERGED_BINS)
        wraps = width(columns, gap, names.strategy) > room
        dropped = []
        for column in DROPPED_FIRST:
            if width(columns, gap, names.word) > room and column in columns:
                columns = tuple(each for each in columns if each != column)
                dropped.append(column[0].replace("\n", " "))
        wraps = wraps and width(columns, gap, names.strategy) > room
        return cls(columns, gap, is_compact, wraps, tuple(dropped))


@dataclass(frozen=True, slots=True)
class _Names:
    """The widths of strategies (``word``: their longest word), N and votes.

    They are the same for every table of a report.
    """

    strategy: int
    word: int
    n: int
    vote: int

    @classmethod
    def of(cls, rows: Sequence[SummaryRow]) -> "_Names":
        names = [row_name(row) for row in rows]
        return cls(
            strategy=max(len(each) for each in ("strategy", *names)),
            word=max(len(word) for name in ("strategy", *names) for word in name.split()),
            n=max(len(str(each)) for each in (100, *(row.n for row in rows))),
            vote=max(len(each) for each in ("vote", *(row.vote for row in rows))),
        )


@dataclass(frozen=True, slots=True)
class _Columns:
    """A table that drops columns rather than cut a number or a name."""

    rows: Sequence[SummaryRow]
    best: frozenset[int]
    names: _Names
    paid: bool
    """Whether anything cost money."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        layout = _Layout.of(options.max_width, self.names, paid=self.paid)
        table = Table(box=None, padding=(0, layout.gap, 0, 0), pad_edge=False, header_style="dim")
        strategy = None if layout.wraps else self.names.strategy
        table.add_column("strategy", min_width=strategy, overflow="fold")
        table.add_column("N", justify="right", min_width=self.names.n, no_wrap=True)
        table.add_column("vote", min_width=self.names.vote, no_wrap=True)
        for heading, width in layout.columns:
            table.add_column(heading, justify="right", min_width=width, no_wrap=True)
        for row in self.rows:
            is_best = id(row) in self.best
            numbers = _numbers(row, is_best) | _bins(row, layout.is_compact)
            cells = [numbers[heading] for heading, _ in layout.columns]
            table.add_row(*_names(row), *cells, style="bold green" if is_best else "")
        yield table


@dataclass(frozen=True, slots=True)
class _DroppedColumns:
    """Says which columns were dropped, if any."""

    names: _Names
    paid: bool

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        layout = _Layout.of(options.max_width, self.names, paid=self.paid)
        if layout.dropped:
            yield Text(
                f"Too narrow a terminal for: {', '.join(layout.dropped)}. Widen it, or see "
                "`orchard show --json`.",
                style="dim",
            )


def _names(row: SummaryRow) -> tuple[str, str, str]:
    return row_name(row), str(row.n or "–"), row.vote if row.strategy != BASELINE else "–"


def _numbers(row: SummaryRow, is_best: bool) -> dict[str, str]:
    """The numbers of a row by heading."""
    cells = [
        percent(row.accuracy) + (BEST if is_best else " "),
        f"[{percent(row.ci_low)}, {percent(row.ci_high)}]",
        amount(row.policy_tokens / row.problems),
        amount(row.prm_tokens / row.problems) if row.prm_tokens else "–",
        dollars(row.cost / row.problems).removeprefix("$"),
    ]
    return {heading: cell for (heading, _), cell in zip((*NUMBERS, COST), cells, strict=True)}


def _bins(row: SummaryRow, compact: bool) -> dict[str, str]:
    bins = {bin: row.by_difficulty.get(bin) for bin in BINS}
    if not compact:
        return {bin: percent(each["accuracy"]) if each else "–" for bin, each in bins.items()}
    shares = (f"{100 * each['accuracy']:.0f}" if each else "–" for each in bins.values())
    return {MERGED_BINS[0]: "/".join(shares)}


def _best(rows: Iterable[SummaryRow]) -> frozenset[int]:
    """The ids of the most accurate rows of each task, policy and N."""
    rivals: dict[tuple[str, str, int], list[SummaryRow]] = {}
    for row in rows:
        if row.n:  # a routed cell has none
            rivals.setdefault((row.task, row.policy, row.n), []).append(row)
    return frozenset(
        id(row)
        for group in rivals.values()
        for row in group
        if len(group) > 1 and row.accuracy == max(rival.accuracy for rival in group)
    )


def _title(row: SummaryRow, several_tasks: bool) -> str:
    title = model_name(row.policy, row.policy_params)
    title += f" under {row.prm}" if row.prm else " without a PRM"
    return f"{row.task}: {title}" if several_tasks else title


def _winner(bin: Bin, rows: Sequence[Contender]) -> str | None:
    best = winner(bin, rows)
    if best is None:
        return None
    label, row = best
    reached = row.by_difficulty[bin]
    of = f"of {reached['problems']} problems"
    if reached["accuracy"] == 0:
        return f"no strategy solves any {of}"
    under = "" if row.vote == label else f" ({row.vote})"
    return f"{label}{under}, {percent(reached['accuracy'])} % {of}"


def _notes(summary: Summary) -> Iterator[RenderableType]:
    shown = shown_rows(summary)
    notes = []
    if _best(shown):
        notes.append(
            f"{BEST} best of its policy and N on these very problems, so a flattering pick."
        )
    if any(bin in row.by_difficulty for row in shown for bin in BINS):
        notes.append(
            "easy, medium, hard: % right where pass@1 is from 50 %, from 10 %, below 10 %."
        )
    notes += [
        f"Tokens{' and costs' if any(row.cost for row in shown) else ''} are means per problem.",
        *_substitutes(shown),
        *ends_in_words(shown),
        *_unscored(shown),
        *_borrowed_bins(shown),
        *_unknown_bins(shown),
    ]
    if hidden := len(summary.rows) - len(shown):
        notes.append(
            f"{hidden} more rows, under other votes, are in summary.json; `orchard show RUN "
            "--votes` compares the votes over the same samples."
        )
    if summary.failed:
        answered = "which count by the answers they have, if any"
        notes.append(f"Problems that did not finish, {answered}: {summary.failed}.")
    if summary.ran_out:
        notes.append(f"Trees that a limit cut short: {summary.ran_out}.")
    if summary.undecided:
        notes.append(
            "Pairs of answers that could not be compared in time, neither equal nor different: "
            f"{summary.undecided}. No vote merges them, and no accuracy counts them as right."
        )
    yield Text("\n".join(notes), style="dim")


def _substitutes(rows: Iterable[SummaryRow]) -> Iterator[str]:
    """What was emulated or refused, which may change results."""
    for policy, emulated, refused in dict.fromkeys(
        (row.policy, row.emulated, row.refused) for row in rows
    ):
        if emulated:
            substitutes = "; ".join(EMULATED.get(each, each) for each in emulated)
            yield f"Emulated for {policy}, whose API lacks it: {substitutes}."
        if refused:
            yield f"{policy} does not take, and ran without: {', '.join(refused)}."


def _unscored(rows: Iterable[SummaryRow]) -> Iterator[str]:
    """Where a vote by scores had no scores; such answers tell nothing about the PRM."""
    for row in rows:
        if row.by_majority:
            n = f" N = {row.n}" if row.n else ""
            yield (
                f"{row.policy} {row_name(row)}{n} under {row.vote}: no solution was scored on "
                f"{row.by_majority} of {counted(row.problems, 'problems')}, and the majority "
                "decided; a limit was reached before the PRM answered, or the PRM failed."
            )


def _unknown_bins(rows: Iterable[SummaryRow]) -> Iterator[str]:
    """How many problems no bin counts: for each policy, the most of any row."""
    most: dict[str, SummaryRow] = {}
    for row in rows:
        if UNKNOWN in row.by_difficulty and _unknown(row) > _unknown(most.get(row.policy)):
            most[row.policy] = row
    alike: dict[tuple[int, int], list[str]] = {}
    for policy, row in most.items():
        alike.setdefault((_unknown(row), row.problems), []).append(policy)
    for (unknown, problems), policies in alike.items():
        yield (
            f"{', '.join(policies)}: the difficulty of {unknown} of "
            f"{counted(problems, 'problems')} is unknown, and no bin counts them. It takes "
            f"{FEWEST_SAMPLES} independent samples of a problem: whole solutions drawn at a "
            "temperature above 0, of a vote that may stop early its first batch."
        )


def _unknown(row: SummaryRow | None) -> int:
    return row.by_difficulty[UNKNOWN]["problems"] if row else 0


def _borrowed_bins(rows: Iterable[SummaryRow]) -> list[str]:
    lenders = Counter((row.policy, row.difficulty_of) for row in rows)
    return [
        f"The bins of {policy} are by the pass@1 of {lender}."
        for policy, lender in lenders
        if lender is not None and lender != policy
    ]
