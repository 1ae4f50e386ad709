from orchestrator.evaluation.evaluate import Failure, evaluate, mean_f1
from tests.unit.orchestrator.evaluation.conftest import judged, synthetic

WRONG, RIGHT = judged([0.1], 0), judged([0.9])


def test_counts_are_of_what_was_scored() -> None:
    failed = [Failure(sample="x", reason="too long")]
    found = evaluate("prm", "data", [WRONG, RIGHT, RIGHT], failed, 12, threshold=0.5)
    assert (found.samples, found.wrong, found.right, found.tokens) == (3, 1, 2, 12)
    assert found.failed == tuple(failed)


def test_where_nothing_was_scored_no_number_is_given() -> None:
    found = evaluate("prm", "data", [], threshold=0.5)
    assert (found.calibration, found.by_length, found.aggregates) == (None, None, ())
    assert (found.first_error.f1, found.best, found.f1_curve.f1) == (None, None, None)


def test_a_good_prm_does_better_than_a_poor_one_by_every_measure() -> None:
    good = evaluate("good", "data", synthetic(sharpness=8), threshold=0.5)
    poor = evaluate("poor", "data", synthetic(sharpness=1.2), threshold=0.5)
    assert good.first_error.f1 is not None and poor.first_error.f1 is not None
    assert good.first_error.f1.low > poor.first_error.f1.high
    assert good.calibration is not None and poor.calibration is not None
    assert good.calibration.brier < poor.calibration.brier
    for better, worse in zip(good.aggregates, poor.aggregates, strict=True):
        assert better.auroc is not None and worse.auroc is not None
        assert better.auroc > worse.auroc


def test_the_overall_f1_is_the_mean_of_the_data_sets() -> None:
    perfect = evaluate("prm", "a", [WRONG, RIGHT], threshold=0.5)
    useless = evaluate("prm", "b", [judged([0.9], 0), judged([0.1])], threshold=0.5)
    assert mean_f1([perfect, useless]) == 0.5
    assert mean_f1([perfect, evaluate("prm", "c", [RIGHT], threshold=0.5)]) is None
    assert mean_f1([]) is None
