"""Which votes have a curve."""

from collections.abc import Callable

from orchestrator.core.records import Record, Verdict
from orchestrator.report.data.curves import curves_of
from orchestrator.report.data.summary import summarise


def test_samples_with_log_probabilities_have_a_curve_by_confidence_too(
    make_record: Callable[..., Record],
) -> None:
    votes = ("majority", "confident_mean", "confident_tail", "borda_mean")
    verdicts = {vote: Verdict(answer="7", correct=True) for vote in votes}
    summary = summarise([make_record(strategy="majority", n=4, verdicts=verdicts)])
    assert [(curve.label, curve.vote) for curve in curves_of(summary.rows, summary)] == [
        ("majority", "majority"),
        ("confidence vote", "confident_mean"),
    ]


def test_samples_without_them_have_the_majoritys_alone(make_record: Callable[..., Record]) -> None:
    summary = summarise([make_record(strategy="majority", n=4)])
    assert [curve.label for curve in curves_of(summary.rows, summary)] == ["majority"]
