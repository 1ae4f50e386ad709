"""Where ``strategy: auto`` sent the problems, in plain English."""

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.text import Text

from orchestrator.core.voting import VOTES
from orchestrator.optimal.arms import Arm
from orchestrator.optimal.wording import in_words
from orchestrator.report.data.routes import CellRoutes, PoolUse, RoutedBin, Way
from orchestrator.report.data.shown import budget_in_words
from orchestrator.report.data.wording import counted, in_unit, model_name

COMMONEST = 3
"""How many strategies of a bin are named, the most common first."""

MEASURED = ("profile", "pool")
"""Rules that are not named: the usual ones, which go by a profile."""


def routing(routes: Sequence[CellRoutes]) -> list[Text]:
    """For each cell that routes, the strategies of each bin and how many problems got them."""
    lines: list[Text] = []
    for cell in routes:
        lines += [Text(_title(cell), style="bold"), *map(Text, _bins(cell))]
        if cell.pool is not None:
            lines.append(Text(f"  {_pool(cell.pool, str(cell.settings['unit']))}"))
    return [*lines, Text()] if lines else []


def _title(cell: CellRoutes) -> str:
    under = f" under {cell.prm}" if cell.prm else ""
    title = f"Routing of {model_name(cell.policy, cell.policy_params)}{under}"
    if cell.settings.get("budget") is not None:
        title += f", {budget_in_words(cell.settings)}"
    ways = [way for found in cell.bins.values() for way in found["ways"]]
    rules = dict.fromkeys(way["rule"] for way in ways if way["rule"] not in MEASURED)
    return "; ".join([title, *rules])


def _pool(pool: PoolUse, unit: str) -> str:
    used = "" if pool["used"] is None else f"{in_unit(pool['used'], unit)} used; "
    if not pool["cut"]:
        return f"{used}no problem would go on with a larger budget"
    without = f", {pool['unanswered']:,} of them without an answer yet"
    return f"{used}{counted(pool['cut'], 'problems')} would go on with a larger budget" + (
        without if pool["unanswered"] else ""
    )


def _bins(cell: CellRoutes) -> Iterator[str]:
    for bin, found in cell.bins.items():
        yield f"  {bin}, {counted(found['problems'], 'problems')}: {'; '.join(_ways(found))}"


def _ways(found: RoutedBin) -> Iterator[str]:
    ways: Counter[str] = Counter()
    for way in found["ways"]:
        ways[_words(way)] += way["problems"]
    named = ways.most_common(COMMONEST)
    for words, count in named:
        yield f"{words} ({count})" if len(ways) > 1 else words
    if more := found["problems"] - sum(count for _, count in named):
        yield f"others ({more})"


def _words(way: Way) -> str:
    arm = Arm(strategy=way["strategy"], settings=way["settings"], vote=VOTES[way["vote"]])
    return in_words(arm)
