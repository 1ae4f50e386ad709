"""Which strategy answers most problems of a difficulty bin."""

from collections.abc import Sequence

from orchestrator.core.difficulty import Bin
from orchestrator.report.data.curves import Panel
from orchestrator.report.data.summary import SummaryRow

Contender = tuple[str, SummaryRow]
"""A row with the label of its curve."""


def contenders(panel: Panel) -> list[Contender]:
    """Each strategy of a panel at the largest N that all of them ran."""
    n = panel.largest_common_n
    return [(curve.label, row) for curve in panel.curves if n and (row := curve.at(n))]


def winner(bin: Bin, rows: Sequence[Contender]) -> Contender | None:
    """The one with the most right answers; among equals, the one with the fewest tokens."""
    having = [(label, row) for label, row in rows if bin in row.by_difficulty]
    return max(
        having,
        key=lambda one: (
            one[1].by_difficulty[bin]["accuracy"], -(one[1].policy_tokens + one[1].prm_tokens)
        ),
        default=None,
    )  # fmt: skip
