"""Difficulty predicted from what pilots show."""

import random
from dataclasses import replace

import pytest

from orchestrator.core.confidence import Confidence
from orchestrator.errors import ProfileError
from orchestrator.optimal.difficulty.evidence import Pilot, features
from orchestrator.optimal.difficulty.predictor import Labelled, fit


def sample(answer: int | None, *scores: float, tokens: int = 80) -> Pilot:
    return Pilot(answer=answer, scores=scores, tokens=tokens)


def test_features_tell_agreement_and_doubt() -> None:
    agreeing = features([sample(1, 0.9, 0.9)] * 4)
    assert (agreeing["agreement"], agreeing["backing"], agreeing["entropy"]) == (1, 1, 0)
    assert agreeing["weight"] == pytest.approx(1)
    torn = features([sample(1, 0.9), sample(2, 0.1), sample(3, 0.1), sample(None, 0.1)])
    assert (torn["agreement"], torn["backing"], torn["answered"]) == (0.25, 0, 0.75)
    assert torn["entropy"] == pytest.approx(1)
    assert torn["doubt"] < agreeing["doubt"]


def test_without_scores_only_the_samples_speak() -> None:
    assert set(features([sample(1), sample(2)])) == {
        "agreement", "backing", "entropy", "answered", "length",
    }  # fmt: skip


def test_how_likely_the_greedy_solution_was_is_shown_where_it_is_known() -> None:
    known = Pilot(answer=1, scores=(), tokens=80, confidence=Confidence.level(-0.25))
    assert features([known, sample(1)])["confidence"] == -0.25
    assert "confidence" not in features([sample(1), known])


def test_the_question_is_described_by_its_length_and_by_the_first_request_where_it_tells() -> None:
    told = replace(sample(1), question_logprob=-2.5)
    found = features([told, sample(1)], 100)
    assert found["question_logprob"] == -2.5
    assert found["question_length"] == pytest.approx(4.605, abs=1e-3)
    assert not {"question_logprob", "question_length"} & features([sample(1), told]).keys()


def test_before_any_sample_the_length_of_the_question_is_all_there_is() -> None:
    assert features([], 100) == {"question_length": pytest.approx(4.605, abs=1e-3)}
    assert features([]) == {}


def test_what_some_pilots_do_not_show_is_no_ground_to_go_by() -> None:
    some = problems(60)
    some[7] = replace(some[7], shown={"agreement": some[7].shown["agreement"]})
    assert set(fit(some, pilots=4).weights) == {"agreement"}


def problems(count: int, seed: int = 0) -> list[Labelled]:
    """Problems whose true rate their pilots' agreement tells, with noise."""
    draw = random.Random(seed)
    found = []
    for i in range(count):
        rate = draw.random()
        right = sum(draw.random() < rate for _ in range(60))
        found.append(
            Labelled(
                problem=str(i),
                shown={"agreement": min(1, max(0, rate + draw.gauss(0, 0.1))), "length": 4.0},
                right=right,
                samples=60,
            )
        )
    return found


def test_predictions_are_calibrated_on_problems_they_were_not_fitted_to() -> None:
    predictor, fresh = fit(problems(400), pilots=4), problems(1000, seed=1)
    predicted = [(predictor(each.shown), each.rate) for each in fresh]
    for low in (0.2, 0.4, 0.6):
        near = [rate for guess, rate in predicted if low <= guess < low + 0.2]
        assert sum(near) / len(near) == pytest.approx(low + 0.1, abs=0.08)
    assert sum((guess - rate) ** 2 for guess, rate in predicted) / len(predicted) < 0.03


def test_a_problem_counts_once_however_often_its_pilots_were_drawn() -> None:
    once = problems(60)
    assert fit(once * 3, pilots=4)(once[0].shown) == pytest.approx(
        fit(once, pilots=4)(once[0].shown), abs=1e-3
    )


def test_the_fit_is_the_penalised_maximum_of_the_likelihood() -> None:
    """As scikit-learn's LogisticRegression(C=1, tol=1e-10) finds it."""
    found = fit(problems(60), pilots=4)
    assert found.intercept == pytest.approx(-0.037357963, abs=1e-6)
    weights = {name: each.weight for name, each in found.weights.items()}
    assert weights == pytest.approx({"agreement": 1.219009893, "length": 0.0}, abs=1e-6)


def test_too_few_problems_are_refused() -> None:
    with pytest.raises(ProfileError, match="7 labelled problems are too few"):
        fit(problems(7), pilots=4)


def test_nothing_to_tell_apart_is_refused() -> None:
    right = [
        Labelled(problem=str(i), shown={"agreement": 1.0}, right=9, samples=9) for i in range(50)
    ]
    with pytest.raises(ProfileError, match="every sample of these problems is right"):
        fit(right, pilots=4)
