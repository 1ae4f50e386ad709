"""Where ``strategy: auto`` sent the problems, in plain English."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import get_args

from rich.text import Text

from orchestrator.core.records import PlanName
from orchestrator.core.voting import VOTES
from orchestrator.optimal.arms import Arm
from orchestrator.optimal.wording import in_words
from orchestrator.report.data.routes import CellRoutes, ModelShare, PoolUse, RoutedBin, Way
from orchestrator.report.data.shown import budget_in_words
from orchestrator.report.data.wording import counted, dollars, in_unit, model_name

COMMONEST = 3
"""How many strategies of a bin are named, the most common first."""

MEASURED = ("profile", "pool")
"""Rules that are not named: the usual ones, which go by a profile."""


def routing(routes: Sequence[CellRoutes]) -> list[Text]:
    """For each cell that routes, the strategies of each bin and how many problems got them."""
    lines: list[Text] = []
    for cell in routes:
        lines += [Text(_title(cell), style="bold"), *map(Text, [*_plans(cell), *_bins(cell)])]
        lines += [Text(f"  {_share(name, share)}") for name, share in cell.models.items()]
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


def _plans(cell: CellRoutes) -> Iterator[str]:
    """Which problems went by which plan, where the budget lies between two."""
    if cell.plans:
        cheap, dear = (cell.plans.get(name, 0) for name in get_args(PlanName))
        yield (
            f"  two plans are mixed: {counted(dear, 'problems')} by the dear one, {cheap:,} by the "
            "cheap one"
        )


def _pool(pool: PoolUse, unit: str) -> str:
    used = "" if pool["used"] is None else f"{in_unit(pool['used'], unit)} used; "
    if not pool["cut"]:
        return f"{used}no problem would go on with a larger budget"
    without = f", {pool['unanswered']:,} of them without an answer yet"
    return f"{used}{counted(pool['cut'], 'problems')} would go on with a larger budget" + (
        without if pool["unanswered"] else ""
    )


def _share(name: str, share: ModelShare) -> str:
    """What one model of several did, of the problems and on average."""
    if not share["problems"]:
        return f"{name}: not used"
    done = f"{name}: {counted(share['problems'], 'problems')}"
    if share["answered"] is not None:
        done += f", of which it answered {share['answered']:,}"
    used = [in_unit(round(share["tokens"]), "tokens")]
    if share["flops"] is not None:
        used.append(in_unit(share["flops"], "flops"))
    if share["cost"]:
        used.append(dollars(share["cost"]))
    used.append(f"{share['seconds']:.2g} s")
    return f"{done}; {', '.join(used)} a problem of all"


def _bins(cell: CellRoutes) -> Iterator[str]:
    for bin, found in cell.bins.items():
        yield f"  {bin}, {counted(found['problems'], 'problems')}: {'; '.join(_ways(cell, found))}"


def _ways(cell: CellRoutes, found: RoutedBin) -> Iterator[str]:
    ways: Counter[str] = Counter()
    for way in found["ways"]:
        ways[_model_and_arm(way) if cell.models else _words(way)] += way["problems"]
    named = ways.most_common(COMMONEST)
    for words, count in named:
        yield f"{words} ({count})" if len(ways) > 1 else words
    if more := found["problems"] - sum(count for _, count in named):
        yield f"others ({more})"


def _model_and_arm(way: Way) -> str:
    """``policy-160k's greedy answer``, ``policy-2m, beam search 16 with PRM-Last``."""
    if way["strategy"] == "cot":
        return f"{way['policy']}'s greedy answer"
    return f"{way['policy']}, {_words(way)}"


def _words(way: Way) -> str:
    arm = Arm(strategy=way["strategy"], settings=way["settings"], vote=VOTES[way["vote"]])
    return in_words(arm, direct=way["direct"])
