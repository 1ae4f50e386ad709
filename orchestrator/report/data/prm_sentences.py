"""The conclusions of a PRM's evaluation, in plain English."""

from orchestrator.evaluation.calibration import ScoreCalibration
from orchestrator.evaluation.evaluate import Evaluation
from orchestrator.evaluation.length import Aggregate
from orchestrator.report.data.wording import percent


def conclusion(evaluation: Evaluation) -> str:
    """One PRM on one data set: does it find errors, is it calibrated, is it biased by length?"""
    lead = f"{evaluation.prm} on {evaluation.data}: "
    if evaluation.calibration is None:
        return f"{lead}nothing was scored, so nothing can be said."
    parts = [
        _first_error(evaluation),
        *([_calibration(evaluation.calibration)] if evaluation.wrong else []),
        *(
            _length(each, evaluation.running_minimum)
            for each in evaluation.aggregates
            if each.reward == "last"
        ),
    ]
    return lead + "; ".join(parts) + "."


def _first_error(evaluation: Evaluation) -> str:
    found, best = evaluation.first_error, evaluation.best
    if found.wrong is None or found.right is None or found.f1 is None:
        side = "right" if found.wrong is None else "wrong"
        return f"all samples are {side}, so F1, AUROC and a best threshold cannot be given"
    sentence = (
        f"finds the first error in {percent(found.wrong.value)} % of wrong solutions and none in "
        f"{percent(found.right.value)} % of right ones, F1 {percent(found.f1.value)}"
    )
    if best is not None and best.f1 is not None and best.f1.low > found.f1.value:
        sentence += f" ({percent(best.f1.value)} at a threshold chosen on other samples)"
    return sentence


def _calibration(c: ScoreCalibration) -> str:
    averages = f"scores average {c.mean_score:.3f} where {c.right:.3f} of the steps are right"
    if c.bias.low > 0:
        return f"overconfident: {averages}"
    if c.bias.high < 0:
        return f"underconfident: {averages}"
    return f"neither over- nor underconfident on average: {averages}"


def _length(last: Aggregate, running_minimum: bool) -> str:
    steps, slope = last.right.steps, last.right.per_step
    if steps is None or slope is None:
        return "right solutions differ too little to tell a length bias"
    interval = f"95 % interval [{steps.low:+.2f}, {steps.high:+.2f}]"
    correlation = f"Spearman {steps.value:+.2f}, {interval}"
    if steps.low <= 0 <= steps.high:
        return f"no length bias shown among right solutions ({correlation})"
    direction = "lower" if steps.value < 0 else "higher"
    known = ", as a running minimum must" if running_minimum and steps.value < 0 else ""
    return (
        f"longer right solutions score {direction}{known}, by {abs(slope):.4f} a step "
        f"({correlation})"
    )
