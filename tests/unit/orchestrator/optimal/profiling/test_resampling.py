"""Accuracies of fewer samples, from many."""

import itertools
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.confidence import Confidence
from orchestrator.core.node import Node
from orchestrator.core.voting import VOTES, Borda, Confident, Majority, Max, Vote, Weighted, elect
from orchestrator.optimal.profiling.ballots import Drawn
from orchestrator.optimal.profiling.resampling import chance, pass_at_k

CONFIDENCES = st.none() | st.integers(-8, 0).map(lambda tenths: Confidence.level(tenths / 10))
ANSWERS = st.one_of(st.none(), st.integers(0, 3))


@st.composite
def drawn(draw: st.DrawFn, most: int = 6, *, unscored: bool = False) -> Drawn:
    answers = draw(st.lists(ANSWERS, min_size=1, max_size=most))
    right = draw(st.integers(0, 3))
    least = 0 if unscored else 1
    steps = st.lists(st.integers(0, 10).map(lambda each: each / 10), min_size=least, max_size=3)
    return Drawn(
        answers=tuple(answers),
        right=tuple(answer == right for answer in answers),
        scores=tuple(tuple(draw(steps)) for _ in answers),
        confidences=tuple(draw(CONFIDENCES) for _ in answers),
    )


def elections(samples: Drawn, vote: Vote, n: int) -> float:
    """By all ordered subsets, each a real election."""
    nodes = [
        Node(question="", seed=0, path=(i,), scores=scores, confidence=confidence)
        for i, (scores, confidence) in enumerate(
            zip(samples.scores, samples.confidences, strict=True)
        )
    ]
    outcomes = []
    for order in itertools.permutations(range(len(samples)), n):
        elected = elect(vote, [nodes[i] for i in order], [samples.answers[i] for i in order]).winner
        outcomes.append(elected is not None and samples.right[order[elected]])
    return fmean(outcomes)


@given(drawn(most=5), st.sampled_from([Max("last"), Max("min"), Max("avg")]), st.data())
def test_the_best_of_n_is_exact(samples: Drawn, vote: Vote, data: st.DataObject) -> None:
    n = data.draw(st.integers(1, max(1, len(samples) - 1)))
    if n < len(samples):  # equals are as likely to come first, each of them
        assert chance(samples, vote, n) == pytest.approx(elections(samples, vote, n))


@given(
    drawn(most=5, unscored=True),
    st.sampled_from([Majority(), Weighted("last"), Max("last"), Confident("mean"), Borda("tail")]),
    st.data(),
)
def test_votes_come_near_to_all_elections(samples: Drawn, vote: Vote, data: st.DataObject) -> None:
    n = data.draw(st.integers(1, max(1, len(samples) - 1)))
    if n < len(samples):
        assert chance(samples, vote, n, subsets=4000) == pytest.approx(
            elections(samples, vote, n), abs=0.05
        )


@pytest.mark.parametrize("vote", VOTES.values(), ids=str)
@given(samples=drawn(unscored=True))
def test_all_samples_are_one_election(samples: Drawn, vote: Vote) -> None:
    nodes = [
        Node(question="", seed=0, path=(i,), scores=scores, confidence=confidence)
        for i, (scores, confidence) in enumerate(
            zip(samples.scores, samples.confidences, strict=True)
        )
    ]
    elected = elect(vote, nodes, samples.answers).winner
    right = elected is not None and samples.right[elected]
    assert chance(samples, vote, len(samples)) == float(right)


def test_pass_at_k_is_the_chance_that_one_of_k_is_right() -> None:
    assert pass_at_k(1, 4, 1) == 0.25
    assert pass_at_k(1, 4, 2) == 0.5
    assert pass_at_k(0, 4, 4) == 0.0
    assert pass_at_k(3, 4, 2) == 1.0


def test_no_more_can_be_drawn_than_there_are() -> None:
    with pytest.raises(ValueError, match="3 samples of 2"):
        chance(
            Drawn(answers=(1, 1), right=(True, True), scores=((), ()), confidences=(None,) * 2),
            Majority(),
            3,
        )
