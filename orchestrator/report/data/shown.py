"""Choose and name the rows that are shown: each strategy under one vote (see ``curves``)."""

from collections.abc import Iterable, Mapping

from orchestrator.core.records import AUTO
from orchestrator.report.data.cells import BASELINE
from orchestrator.report.data.curves import curves_of
from orchestrator.report.data.summary import Summary, SummaryRow
from orchestrator.report.data.wording import in_unit
from orchestrator.strategies.building import label_of


def shown_rows(summary: Summary) -> list[SummaryRow]:
    """The rows of ``summary`` that are shown, in order."""
    shown = []
    for group in groups(summary.rows):
        wanted = {(curve.strategy, curve.vote) for curve in curves_of(group, summary)}
        for strategy in (BASELINE, AUTO):
            own = [row for row in group if row.strategy == strategy]
            wanted |= {(strategy, row.vote) for row in own[:1]}
        shown += [row for row in group if (row.strategy, row.vote) in wanted]
    return shown


def row_name(row: SummaryRow) -> str:
    """The name of a row's strategy.

    ``beam search, orchard rules`` if its rules are not the paper's, ``best-of-N, stops`` with early
    stopping, ``best-of-N, then DVTS`` with a fallback; for routed cells see ``routed_name``.
    """
    if row.strategy == AUTO:
        return routed_name(row.settings)
    name = label_of(row.strategy)
    then = row.settings.get("then")
    if isinstance(then, Mapping):
        return f"{name}, then {label_of(then['strategy'])}"
    if rules := row.settings.get("rules"):
        name += f", {rules} rules"
    return f"{name}, stops" if row.settings.get("stop") else name


def routed_name(settings: Mapping[str, object]) -> str:
    """``auto by rule`` without a profile, ``auto, pool`` with a shared budget, else ``auto``."""
    if settings.get("profile") is None:
        return "auto by rule"
    return "auto, pool" if settings.get("pool") else "auto"


def budget_in_words(settings: Mapping[str, object]) -> str:
    """The budget of a routed cell: ``1,200 tokens a problem``, or ``… for all problems``."""
    whose = "for all problems" if settings.get("pool") else "a problem"
    budget = settings["budget"]
    assert isinstance(budget, int | float)
    return f"{in_unit(budget, str(settings['unit']))} {whose}"


def groups(rows: Iterable[SummaryRow]) -> list[list[SummaryRow]]:
    """Rows by task, policy and PRM, in their order."""
    found: dict[tuple[str, str, str | None], list[SummaryRow]] = {}
    for row in rows:
        found.setdefault((row.task, row.policy, row.prm), []).append(row)
    return list(found.values())
