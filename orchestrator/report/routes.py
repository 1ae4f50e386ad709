"""Where ``strategy: auto`` sent the problems, in words, by what their pilots let expect."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from rich.text import Text

from orchestrator.core.difficulty import BINS
from orchestrator.core.records import Record, Route
from orchestrator.optimal.arms import Arm
from orchestrator.optimal.wording import in_words
from orchestrator.report.cells import Cell, gather
from orchestrator.report.shown import budget_in_words
from orchestrator.report.wording import counted, model_name

COMMONEST = 3
"""Strategies of a bin that are named; a pool may choose many."""


def routing(records: Iterable[Record]) -> list[Text]:
    """For each cell that routes, each bin's strategies with how many problems went each way."""
    lines: list[Text] = []
    for cell in gather(records):
        routes = [each.route for each in cell.records.values() if each.route is not None]
        if routes:
            lines += [Text(_title(cell, routes), style="bold"), *map(Text, _bins(routes))]
    return [*lines, Text()] if lines else []


def _title(cell: Cell, routes: Sequence[Route]) -> str:
    first = cell.sample
    under = f" under {first.prm}" if first.prm else ""
    title = f"Routing of {model_name(first.policy, first.policy_params)}{under}"
    settings = first.settings
    if settings.get("budget") is not None:
        title += f", {budget_in_words(settings)}"
    rules = dict.fromkeys(route.rule for route in routes if route.rule != "profile")
    return "; ".join([title, *rules])


def _bins(routes: Sequence[Route]) -> Iterator[str]:
    for bin in BINS:
        ways = Counter(_words(route) for route in routes if route.bin == bin)
        if not ways:
            continue
        named = [
            f"{way} ({count})" if len(ways) > 1 else way
            for way, count in ways.most_common(COMMONEST)
        ]
        if more := ways.total() - sum(count for _, count in ways.most_common(COMMONEST)):
            named.append(f"others ({more})")
        yield f"  {bin}, {counted(ways.total(), 'problems')}: {'; '.join(named)}"


def _words(route: Route) -> str:
    return in_words(Arm(strategy=route.strategy, settings=route.settings, vote=route.vote))
