"""The results of an evaluation of PRMs: numbers and conclusions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from orchestrator.evaluation.evaluate import Evaluation, mean_f1
from orchestrator.report.data.prm_sentences import conclusion


@dataclass(frozen=True, slots=True, kw_only=True)
class PRMSummary:
    """PRMs over data sets.

    ``data`` says of each data set where it comes from. ``mean_f1`` is ProcessBench's overall figure
    of each PRM, over all data sets; None where one of them has no F1. ``conclusions`` holds one
    sentence for each of ``rows``.
    """

    threshold: float
    data: dict[str, str]
    mean_f1: dict[str, float | None]
    conclusions: tuple[str, ...]
    rows: tuple[Evaluation, ...]

    def of(self, prm: str) -> list[Evaluation]:
        """One PRM's rows."""
        return [row for row in self.rows if row.prm == prm]

    @property
    def prms(self) -> list[str]:
        return list(dict.fromkeys(row.prm for row in self.rows))


def summarise_prms(
    rows: Sequence[Evaluation], *, threshold: float, data: Mapping[str, str]
) -> PRMSummary:
    """``data`` is each data set's note, by its name."""
    by_prm: dict[str, list[Evaluation]] = {}
    for row in rows:
        by_prm.setdefault(row.prm, []).append(row)
    return PRMSummary(
        threshold=threshold,
        data=dict(data),
        mean_f1={prm: mean_f1(evaluations) for prm, evaluations in by_prm.items()},
        conclusions=tuple(conclusion(row) for row in rows),
        rows=tuple(rows),
    )


def prm_json(summary: PRMSummary) -> bytes:
    """Indented JSON."""
    return msgspec.json.format(msgspec.json.encode(summary), indent=2)
