"""Accuracy and tokens over some of a cell's problems."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

from orchestrator.report.data.cells import CellRecords
from orchestrator.statistics import wilson


class SubsetResult(TypedDict):
    """``accuracy`` with its 95 % Wilson interval; ``tokens`` of policy and PRM per problem."""

    problems: int
    accuracy: float
    ci_low: float
    ci_high: float
    tokens: float


def result_of(
    cell: CellRecords, correct: Mapping[str, bool], problems: Sequence[str]
) -> SubsetResult:
    """The result over ``problems``, at least one; ``correct`` says which are answered right."""
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
