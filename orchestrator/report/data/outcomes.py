"""What some of a cell's problems came to."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

from orchestrator.report.data.cells import Cell
from orchestrator.statistics import wilson


class Outcome(TypedDict):
    """``accuracy`` with its 95 % Wilson interval; ``tokens`` are policy's and PRM's a problem."""

    problems: int
    accuracy: float
    ci_low: float
    ci_high: float
    tokens: float


def outcome(cell: Cell, correct: Mapping[str, bool], problems: Sequence[str]) -> Outcome:
    """Of at least one problem; ``correct`` says which of the cell's are right."""
    hits, total = sum(correct[problem] for problem in problems), len(problems)
    records = [cell.records[problem] for problem in problems]
    low, high = wilson(hits, total)
    return {
        "problems": total,
        "accuracy": hits / total,
        "ci_low": low,
        "ci_high": high,
        "tokens": sum(record.policy_tokens + record.prm_tokens for record in records) / total,
    }
