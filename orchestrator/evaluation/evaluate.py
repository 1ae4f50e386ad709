"""Evaluate one PRM on one data set."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.evaluation.calibration import ScoreCalibration, calibration
from orchestrator.evaluation.first_error import (
    FirstErrors,
    ThresholdCurve,
    at_threshold,
    cross_fitted,
    curve,
)
from orchestrator.evaluation.length import Aggregate, ByLength, aggregates, by_length
from orchestrator.evaluation.samples import ScoredSolution


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A sample that the PRM did not score, and why."""

    sample: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """One PRM on one data set.

    ``samples`` counts the scored ones; ``failed`` names the others, which no number includes.
    ``best`` is measured at cross-fitted thresholds; None if a half of the samples lacks right or
    wrong ones. ``calibration`` and ``by_length`` are None, ``aggregates`` empty if nothing was
    scored.
    """

    prm: str
    data: str
    running_minimum: bool
    samples: int
    wrong: int
    right: int
    tokens: int
    failed: tuple[Failure, ...]
    first_error: FirstErrors
    best: FirstErrors | None
    f1_curve: ThresholdCurve
    calibration: ScoreCalibration | None
    aggregates: tuple[Aggregate, ...]
    by_length: ByLength | None


def evaluate(
    prm: str,
    data: str,
    judged: Sequence[ScoredSolution],
    failed: Sequence[Failure] = (),
    tokens: int = 0,
    *,
    threshold: float,
    running_minimum: bool = False,
) -> Evaluation:
    """Measure one PRM on one data set; ``tokens`` counts what it read."""
    right = sum(one.sample.is_right for one in judged)
    return Evaluation(
        prm=prm,
        data=data,
        running_minimum=running_minimum,
        samples=len(judged),
        wrong=len(judged) - right,
        right=right,
        tokens=tokens,
        failed=tuple(failed),
        first_error=at_threshold(judged, threshold),
        best=cross_fitted(judged),
        f1_curve=curve(judged),
        calibration=calibration(judged) if judged else None,
        aggregates=aggregates(judged) if judged else (),
        by_length=by_length(judged) if judged else None,
    )


def mean_f1(evaluations: Sequence[Evaluation]) -> float | None:
    """ProcessBench's overall figure, the mean F1 of the data sets; None if one has no F1."""
    found = [e.first_error.f1.value for e in evaluations if e.first_error.f1 is not None]
    return sum(found) / len(found) if found and len(found) == len(evaluations) else None
