import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.rewards import REWARDS, UNSCORED, Reward, value

SCORES = st.lists(st.floats(0, 1), min_size=1, max_size=40)


@pytest.mark.parametrize(
    ("reward", "expected"), [("last", 0.4), ("min", 0.2), ("avg", 0.4), ("prod", 0.048)]
)
def test_a_path_is_worth_what_its_reward_says(reward: Reward, expected: float) -> None:
    assert value((0.6, 0.2, 0.4), reward) == pytest.approx(expected)


@pytest.mark.parametrize("reward", REWARDS)
def test_a_path_without_scores_is_worth_minus_one(reward: Reward) -> None:
    assert value((), reward) == UNSCORED == -1


@given(SCORES)
def test_every_scored_path_is_worth_more_than_an_unscored_one(scores: list[float]) -> None:
    assert all(0 <= value(scores, reward) <= 1 for reward in REWARDS)


@given(SCORES)
def test_the_product_is_at_most_the_minimum_and_that_at_most_the_average(
    scores: list[float],
) -> None:
    assert value(scores, "prod") <= value(scores, "min") <= value(scores, "avg") + 1e-12


def test_one_score_is_worth_itself_by_any_reward() -> None:
    assert {value((0.3,), reward) for reward in REWARDS} == {0.3}
