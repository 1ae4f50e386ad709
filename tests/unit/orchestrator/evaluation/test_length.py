import random
from dataclasses import replace

import pytest

from orchestrator.core.rewards import REWARDS
from orchestrator.evaluation.length import aggregate, aggregates, by_length
from orchestrator.evaluation.samples import ALL_RIGHT, ScoredSolution
from tests.unit.orchestrator.evaluation.conftest import judged, synthetic


def biased(per_step: float, label: int) -> list[ScoredSolution]:
    """Solutions of 1 to 10 steps whose last score changes by ``per_step`` with each step."""
    rng = random.Random(0)
    found = []
    for _ in range(200):
        length = rng.randint(1, 10)
        last = min(1.0, max(0.0, 0.5 + per_step * length + rng.gauss(0, 0.02)))
        found.append(judged([0.5] * (length - 1) + [last], label))
    return found


@pytest.mark.parametrize("label", [0, ALL_RIGHT])
def test_a_length_bias_is_found_with_its_size_on_its_own_side(label: int) -> None:
    last = aggregate(biased(-0.03, label), "last")
    found, other = (last.right, last.wrong) if label == ALL_RIGHT else (last.wrong, last.right)
    assert found.steps is not None and found.characters is not None
    assert found.steps.high < -0.9 and found.characters.high < -0.9
    assert found.per_step == pytest.approx(-0.03, abs=0.003)
    assert (other.steps, other.characters, other.per_step) == (None, None, None)


def test_scores_without_a_length_bias_show_none() -> None:
    steps = aggregate(biased(0.0, ALL_RIGHT), "last").right.steps
    assert steps is not None and steps.low < 0 < steps.high


def test_that_longer_solutions_are_wrong_more_often_is_no_length_bias() -> None:
    """Scores depend on right or wrong alone, and right solutions are short."""
    rng = random.Random(1)
    right = [judged([rng.uniform(0.8, 1)] * rng.randint(1, 5)) for _ in range(200)]
    wrong = [judged([rng.uniform(0, 0.2)] * rng.randint(4, 9), 0) for _ in range(200)]
    last = aggregate(right + wrong, "last")
    for trend in (last.right, last.wrong):
        assert trend.steps is not None and abs(trend.steps.value) < 0.2
    together = [replace(one, sample=replace(one.sample, label=0)) for one in right + wrong]
    pooled = aggregate(together, "last").wrong.steps
    assert pooled is not None and pooled.high < -0.5


def test_every_aggregate_is_measured() -> None:
    found = {each.reward: each.auroc for each in aggregates(synthetic())}
    assert set(found) == set(REWARDS)
    assert all(auroc is not None and 0.8 < auroc < 1 for auroc in found.values())


def test_auroc_of_a_case_by_hand() -> None:
    """min: 0.6, 0.2 right against 0.5, 0.1 wrong, 3 of 4 pairs; last: 0.6, 0.9 against 0.5, 0.7."""
    cases = [judged([0.8, 0.6]), judged([0.2, 0.9]), judged([0.9, 0.5], 1), judged([0.1, 0.7], 0)]
    assert aggregate(cases, "min").auroc == 0.75
    assert aggregate(cases, "last").auroc == 0.75
    assert aggregate(cases[:2], "last").auroc is None


def test_means_are_taken_by_the_number_of_steps_right_and_wrong_apart() -> None:
    means = by_length([judged([0.9]), judged([0.7]), judged([0.1, 0.4], 0), judged([0.2, 0.8])])
    assert [(g.at, g.count, g.mean) for g in means.right] == [
        (1, 2, pytest.approx(0.8)),
        (2, 1, 0.8),
    ]
    assert [(g.at, g.count, g.mean) for g in means.wrong] == [(2, 1, 0.4)]
    pair, single = means.right
    assert pair.low is not None and pair.high is not None
    assert 0 <= pair.low < pair.mean < pair.high <= 1
    assert (single.low, single.high) == (None, None)


def test_only_right_steps_count_towards_the_means_by_place() -> None:
    means = by_length([judged([0.9, 0.8]), judged([0.7, 0.1, 0.5], 1), judged([0.0], 0)])
    assert [(g.at, g.count, g.mean) for g in means.right_steps] == [
        (1, 2, pytest.approx(0.8)),
        (2, 1, 0.8),
    ]
