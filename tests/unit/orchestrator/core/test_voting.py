from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.tree import Node
from orchestrator.core.voting import (
    VOTES,
    Vote,
    elect,
    highest,
    majority,
    needs_prm,
    split_vote,
    weighted,
)

BALLOTS = st.lists(st.tuples(st.none() | st.integers(0, 3), st.floats(0, 1)), max_size=30)


def leaves(*scores: Sequence[float]) -> list[Node]:
    return [Node(question="", seed=0, path=(i,), scores=tuple(s)) for i, s in enumerate(scores)]


def test_the_majority_is_the_class_with_the_most_members() -> None:
    assert majority([0, 1, 1, None, 2]) == 1


def test_an_unextractable_answer_never_votes() -> None:
    assert majority([None, None, None, 0]) == 3
    assert highest([None, 0], [0.9, 0.1]) == 1
    assert weighted([None, None, 0], [0.9, 0.9, 0.1]) == 2


def test_ties_go_to_the_class_or_leaf_seen_first() -> None:
    assert majority([3, 1, 1, 3]) == 0
    assert highest([0, 1], [0.5, 0.5]) == 0
    assert weighted([0, 1, 1], [0.5, 0.25, 0.25]) == 0


def test_the_highest_vote_takes_the_best_leaf_that_has_an_answer() -> None:
    assert highest([0, None, 0, 1], [0.2, 0.9, 0.7, 0.3]) == 2


def test_the_weighted_vote_returns_the_best_member_of_the_heaviest_class() -> None:
    assert weighted([0, 1, 1, 1], [0.8, 0.2, 0.5, 0.3]) == 2


def test_the_weighted_vote_lets_one_sure_leaf_outweigh_two_doubtful_ones() -> None:
    assert weighted([0, 1, 1], [0.9, 0.3, 0.4]) == 0


@pytest.mark.parametrize("vote", VOTES)
@pytest.mark.parametrize("classes", [[], [None], [None, None]])
def test_where_no_leaf_has_an_answer_nobody_is_elected(
    vote: Vote, classes: list[int | None]
) -> None:
    assert elect(vote, leaves(*([0.5] for _ in classes)), classes) is None


@pytest.mark.parametrize(
    ("vote", "elected"),
    [("majority", 1), ("max_last", 3), ("max_min", 0), ("max_avg", 0), ("weighted_last", 2)],
)
def test_a_vote_counts_the_scores_its_name_says(vote: Vote, elected: int) -> None:
    scored = leaves([0.6, 0.65], [0.1, 0.6], [0.2, 0.7], [0.0, 0.8])
    assert elect(vote, scored, [0, 1, 1, 2]) == elected


def test_an_unscored_leaf_pulls_its_class_down() -> None:
    scored = leaves([0.5], [], [0.3])
    assert elect("weighted_last", scored, [0, 0, 1]) == 2


def test_only_the_majority_needs_no_prm() -> None:
    assert [vote for vote in VOTES if not needs_prm(vote)] == ["majority"]


def test_a_vote_splits_into_its_kind_and_reward() -> None:
    assert split_vote("weighted_min") == ("weighted", "min")


@given(BALLOTS)
def test_whoever_is_elected_is_the_best_leaf_of_its_class(
    ballots: list[tuple[int | None, float]],
) -> None:
    classes = [voted for voted, _ in ballots]
    values = [worth for _, worth in ballots]
    elected = weighted(classes, values)
    if elected is None:
        assert set(classes) <= {None}
    else:
        rivals = [
            worth for voted, worth in ballots if voted == classes[elected] and voted is not None
        ]
        assert values[elected] == max(rivals)


@given(BALLOTS)
def test_a_majority_is_a_weighted_vote_in_which_all_leaves_weigh_the_same(
    ballots: list[tuple[int | None, float]],
) -> None:
    classes = [voted for voted, _ in ballots]
    assert majority(classes) == weighted(classes, [0.25] * len(classes))
