"""The rows that readers are shown: each strategy under one vote (see ``curves``), or under all."""

from collections.abc import Iterable

from orchestrator.report.curves import BASELINE, curves_of
from orchestrator.report.summary import Row, Summary
from orchestrator.report.wording import strategy_name

AUTO = "auto"
"""The strategy that is chosen for each problem; it has one vote of its own, and no N."""


def shown_rows(summary: Summary, every_vote: bool = False) -> list[Row]:
    """The rows of ``summary`` that a reader is shown, in its order."""
    shown = []
    for group in groups(summary.rows):
        if every_vote:
            shown += group
            continue
        wanted = {(curve.strategy, curve.vote) for curve in curves_of(group, summary)}
        for strategy in (BASELINE, AUTO):
            own = [row for row in group if row.strategy == strategy]
            wanted |= {(strategy, row.vote) for row in own[:1]}
        shown += [row for row in group if (row.strategy, row.vote) in wanted]
    return shown


def row_name(row: Row) -> str:
    """``beam search``; of routed cells whether problems share a budget: ``auto, pool``."""
    pooled = row.strategy == AUTO and row.settings.get("pool")
    return strategy_name(row.strategy) + (", pool" if pooled else "")


def groups(rows: Iterable[Row]) -> list[list[Row]]:
    """Rows by task, policy and PRM, in their order."""
    found: dict[tuple[str, str, str | None], list[Row]] = {}
    for row in rows:
        found.setdefault((row.task, row.policy, row.prm), []).append(row)
    return list(found.values())
