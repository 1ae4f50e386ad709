"""Difficulty bins."""

import pytest

from orchestrator.core.difficulty import by_quantiles, difficulty, pass_at_1


def test_pass_at_1_is_the_share_of_right_samples() -> None:
    assert pass_at_1([True, False, False, False]) == 0.25
    with pytest.raises(ValueError, match="at least one sample"):
        pass_at_1([])


@pytest.mark.parametrize(
    ("rate", "bin"),
    [(1, "easy"), (0.5, "easy"), (0.499, "medium"), (0.1, "medium"), (0.099, "hard"), (0, "hard")],
)
def test_bins_begin_at_half_and_at_a_tenth(rate: float, bin: str) -> None:
    assert difficulty(rate) == bin


def test_quantiles_are_thirds_of_these_problems_the_easiest_first() -> None:
    assert by_quantiles([0.9, 0.2, 1.0, 0.0, 0.5, 0.95]) == [
        "medium", "hard", "easy", "hard", "medium", "easy",
    ]  # fmt: skip
    assert by_quantiles([1.0, 1.0, 1.0]) == ["easy", "medium", "hard"]
