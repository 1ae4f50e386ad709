"""Votes that trust the PRM less: Best-of-Majority, and scores pooled by answer."""

from collections.abc import Sequence

import pytest

from orchestrator.core.node import Node
from orchestrator.core.voting import BestOfMajority, Max, Pooled, elect
from orchestrator.errors import ConfigError


def leaves(*scores: Sequence[float]) -> list[Node]:
    return [Node(question="", seed=0, path=(i,), scores=tuple(s)) for i, s in enumerate(scores)]


def test_best_of_majority_passes_over_a_rare_answer_that_the_prm_overrates() -> None:
    scored = leaves([0.99], [0.6], [0.6], [0.7], [0.5], [0.6])
    classes = [0, 1, 1, 2, 2, 2]
    assert elect(Max("last"), scored, classes).winner == 0
    assert elect(BestOfMajority("last", share=0.3), scored, classes).winner == 3
    assert elect(BestOfMajority("last", share=0.9), scored, classes).winner == 3  # the commonest
    assert elect(BestOfMajority("last"), scored, classes).winner == 0  # of 6, one is enough


def test_best_of_majority_counts_scored_leaves_alone() -> None:
    mixed = leaves([0.5], [0.5], [], [], [0.9])
    assert elect(BestOfMajority("last", share=0.5), mixed, [0, 0, 1, 1, 1]).winner == 0


def test_shares_are_those_of_whole_leaves() -> None:
    scored = leaves(*[[0.5]] * 27, *[[0.6]] * 3)  # 0.1 * 30 is above 3 by rounding
    assert elect(BestOfMajority("last"), scored, [0] * 27 + [1] * 3).winner == 27


def test_pooled_leaves_weigh_their_chance_to_be_the_best_of_some() -> None:
    cast = elect(Pooled("last"), leaves([0.9], [0.1], [0.5], [0.5]), [0, 1, 2, 2]).ballots
    # of two drawn from four, with replacement: 7/16 for the best, 1/16 for the worst
    assert [ballot.weight / 4 for ballot in cast] == [7 / 16, 1 / 16, 4 / 16, 4 / 16]
    # so that two good ones outweigh one that the PRM likes best
    assert elect(Pooled("last"), leaves([0.9], [0.1], [0.5], [0.5]), [0, 1, 2, 2]).winner == 2


def test_how_far_scores_lie_apart_does_not_matter_to_pooled_ones() -> None:
    far, near = leaves([0.01], [0.02], [0.99]), leaves([0.5], [0.51], [0.52])
    assert elect(Pooled(), far, [0, 0, 1]).totals == elect(Pooled(), near, [0, 0, 1]).totals


def test_a_name_tells_a_setting_that_is_not_the_usual_one() -> None:
    assert BestOfMajority("min").name == "best_of_majority_min"
    assert BestOfMajority("min", share=0.25).name == "best_of_majority_min_share0.25"


def test_a_share_lies_between_nothing_and_all() -> None:
    with pytest.raises(ConfigError, match=r"share = 1\.5 must lie between 0 and 1"):
        BestOfMajority(share=1.5)
