"""The paper's derived figures for the cells of a run: the gain of a strategy over CoT, and how much
less budget it needs than majority voting."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from orchestrator.core.records import AUTO
from orchestrator.report.data.cells import BASELINE
from orchestrator.report.data.derived import (
    EfficiencyGain,
    Point,
    efficiency_gain,
    performance_gain,
)
from orchestrator.report.data.shown import row_name, shown_rows
from orchestrator.report.data.summary import Summary, SummaryRow

MAJORITY = "majority"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """A strategy at its largest budget. ``over_cot`` is relative to ``cot``. ``in_n`` and
    ``in_tokens`` say how many times less of N, or of policy and PRM tokens, it needs than majority
    voting at its best; ``in_n`` is None for routed cells, which have no N."""

    task: str
    policy: str
    policy_params: int | None
    prm: str | None
    strategy: str
    label: str
    vote: str
    n: int
    accuracy: float
    cot: float | None
    over_cot: float | None
    in_n: EfficiencyGain | None
    in_tokens: EfficiencyGain | None


def gains(summary: Summary) -> list[Gain]:
    """The gain of each strategy of each policy and PRM, if any of the figures is defined."""
    found = []
    for task, policy in dict.fromkeys((row.task, row.policy) for row in summary.rows):
        every = [row for row in summary.rows if (row.task, row.policy) == (task, policy)]
        cot = next((row.accuracy for row in every if row.strategy == BASELINE), None)
        votes = [row for row in every if row.vote == MAJORITY and row.strategy != BASELINE]
        drawn = [row for row in votes if row.strategy == MAJORITY] or [
            # best-of-N draws the same samples, and majority voting needs no scores of them
            row
            for row in votes
            if row.strategy == "best_of_n" and not row.settings.get("then")
        ]
        for rows in _strategies([row for row in shown_rows(summary) if row in every]):
            found.append(_gain(rows, cot, drawn))
    return [gain for gain in found if (gain.over_cot, gain.in_n, gain.in_tokens) != (None,) * 3]


def _strategies(rows: Sequence[SummaryRow]) -> Iterator[list[SummaryRow]]:
    """The searches among ``rows``, grouped by method over all budgets."""
    methods: dict[tuple[str | None, str, str], list[SummaryRow]] = {}
    for row in rows:
        if row.strategy != BASELINE:
            methods.setdefault((row.prm, row_name(row), row.vote), []).append(row)
    yield from methods.values()


def _gain(rows: Sequence[SummaryRow], cot: float | None, majority: Sequence[SummaryRow]) -> Gain:
    largest = max(rows, key=lambda row: (row.n, _tokens(row)))
    ours = [] if largest.strategy == MAJORITY else rows
    return Gain(
        task=largest.task,
        policy=largest.policy,
        policy_params=largest.policy_params,
        prm=largest.prm,
        strategy=largest.strategy,
        label=row_name(largest),
        vote=largest.vote,
        n=largest.n,
        accuracy=largest.accuracy,
        cot=cot,
        over_cot=None if cot is None else performance_gain(cot, largest.accuracy),
        in_n=None
        if largest.strategy == AUTO
        else efficiency_gain(_points(majority, _n), _points(ours, _n)),
        in_tokens=efficiency_gain(_points(majority, _generated), _points(ours, _tokens)),
    )


def _points(rows: Sequence[SummaryRow], budget: Callable[[SummaryRow], float]) -> list[Point]:
    return [Point(budget(row), row.accuracy) for row in rows if budget(row) > 0]


def _n(row: SummaryRow) -> float:
    return row.n


def _generated(row: SummaryRow) -> float:
    return row.policy_tokens / row.problems


def _tokens(row: SummaryRow) -> float:
    return (row.policy_tokens + row.prm_tokens) / row.problems
