"""Votes by how sure the policy was."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.confidence import Confidence
from orchestrator.core.node import Node
from orchestrator.core.voting import (
    Borda,
    Confident,
    Majority,
    MostConfident,
    TopConfident,
    Vote,
    elect,
)
from orchestrator.errors import ConfigError

MEANS = st.lists(st.integers(-20, 0).map(lambda tenths: tenths / 10), min_size=1, max_size=9)


def leaves(*means: float) -> list[Node]:
    return [
        Node(question="", seed=0, path=(i,), confidence=Confidence.level(mean))
        for i, mean in enumerate(means)
    ]


def weights(vote: Vote, *means: float) -> list[float | None]:
    return list(vote.weights(leaves(*means), [0] * len(means)))


def test_a_leaf_that_is_surer_by_the_temperature_weighs_e_times_as_much() -> None:
    sure, less, far = weights(Confident(temperature=0.2), -0.1, -0.3, -0.7)
    assert sure and less and far
    assert sure / less == pytest.approx(math.e)
    assert less / far == pytest.approx(math.e**2)


@given(means=MEANS, by=st.floats(-5, 5))
def test_only_differences_within_the_question_count(means: list[float], by: float) -> None:
    shifted = [mean + by for mean in means]
    assert weights(Confident(), *means) == pytest.approx(weights(Confident(), *shifted))


@pytest.mark.parametrize(
    "vote", [Confident(), Confident(temperature=1e-3), Borda(), Borda(power=0)]
)
@given(means=MEANS)
def test_weights_sum_to_the_number_of_leaves(vote: Vote, means: list[float]) -> None:
    assert sum(each or 0.0 for each in weights(vote, *means)) == pytest.approx(len(means))


def test_however_far_apart_confidences_are_the_surest_has_its_weight() -> None:
    assert weights(Confident(temperature=1e-3), -100.0, -0.1) == [0.0, 2.0]


def test_the_surest_leaf_decides_alone_and_the_first_of_equals() -> None:
    election = elect(MostConfident(), leaves(-0.4, -0.1, -0.1, -0.4), [0, 1, 0, 0])
    assert election.winner == 1
    assert election.totals == {0: 0.0, 1: 1.0}


def test_the_surest_half_votes_and_all_who_equal_its_last() -> None:
    assert weights(TopConfident(), -0.1, -0.2, -0.3, -0.4) == [1.0, 1.0, 0.0, 0.0]
    assert weights(TopConfident(), -0.1, -0.2, -0.2, -0.4) == [1.0, 1.0, 1.0, 0.0]
    assert weights(TopConfident(keep=0.1), -0.1, -0.2, -0.3) == [1.0, 0.0, 0.0]
    assert weights(TopConfident(keep=0.7), *(-0.1 * i for i in range(10))) == [1.0] * 7 + [0.0] * 3


def test_a_leaf_counts_the_leaves_it_is_as_sure_as() -> None:
    assert weights(Borda(), -0.3, -0.2, -0.1) == pytest.approx([0.5, 1.0, 1.5])
    assert weights(Borda(power=2), -0.3, -0.2, -0.1) == pytest.approx([3 / 14, 12 / 14, 27 / 14])
    assert weights(Borda(power=0), -0.3, -0.2, -0.1) == [1.0, 1.0, 1.0]


def test_a_vote_goes_by_the_measure_it_names() -> None:
    one = Confidence(mean=-0.1, tail=-0.5, lowest=-0.5)
    other = Confidence(mean=-0.2, tail=-0.2, lowest=-0.9)
    voters = [
        Node(question="", seed=0, path=(i,), confidence=each) for i, each in enumerate([one, other])
    ]
    assert elect(MostConfident("mean"), voters, [0, 1]).winner == 0
    assert elect(MostConfident("tail"), voters, [0, 1]).winner == 1
    assert elect(MostConfident("lowest"), voters, [0, 1]).winner == 0


@pytest.mark.parametrize("vote", [Confident(), MostConfident(), TopConfident(), Borda()], ids=str)
def test_a_leaf_whose_log_probabilities_are_not_known_abstains(vote: Vote) -> None:
    silent = Node(question="", seed=0, path=(9,))
    assert vote.weights([silent, *leaves(-0.2)], [0, 1]) == [None, 1.0]
    election = elect(vote, [silent, silent, silent], [1, 0, 0])
    assert (election.winner, election.by) == (1, Majority())


def test_a_name_tells_a_setting_that_is_not_the_usual_one() -> None:
    assert [each.name for each in (Confident(), TopConfident("tail"), Borda("lowest"))] == [
        "confident_mean",
        "top_confident_tail",
        "borda_lowest",
    ]
    assert Confident("tail", temperature=0.5).name == "confident_tail_temperature0.5"
    assert TopConfident(keep=0.1).name == "top_confident_mean_keep0.1"
    assert Borda(power=0.5).name == "borda_mean_power0.5"


@pytest.mark.parametrize(
    ("vote", "setting", "complaint"),
    [
        (Confident, {"temperature": 0}, "temperature = 0 must lie above 0"),
        (TopConfident, {"keep": 0}, "keep = 0 must lie above 0 and at most at 1"),
        (TopConfident, {"keep": 1.1}, "keep = 1.1 must lie"),
        (Borda, {"power": -1}, "power = -1 must lie at 0 or above"),
    ],
)
def test_a_setting_that_makes_no_vote_is_refused(
    vote: type, setting: dict[str, float], complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        vote(**setting)
