"""Elections over many orders at once are those of ``core.voting``, one by one."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.core.confidence import MEASURES, Confidence
from orchestrator.core.voting import VOTES, Vote, elect
from orchestrator.optimal.profiling.ballots import Ballots, Drawn

SCORES = st.lists(st.integers(0, 10).map(lambda tenths: tenths / 10), max_size=2).map(tuple)
"""Tenths, so that sums and values tie; none where a solution was not scored."""

CONFIDENCES = st.builds(
    Confidence,
    **{each: st.integers(-8, 0).map(lambda tenths: tenths / 10) for each in MEASURES},
)


@dataclass(frozen=True)
class One:
    answer: int | None
    right: bool
    scores: tuple[float, ...]
    confidence: Confidence | None


SOLUTIONS = st.builds(
    One, st.none() | st.integers(0, 3), st.booleans(), SCORES, st.none() | CONFIDENCES
)


def drawn(solutions: list[One]) -> Drawn:
    return Drawn(
        answers=tuple(one.answer for one in solutions),
        right=tuple(one.right for one in solutions),
        scores=tuple(one.scores for one in solutions),
        confidences=tuple(one.confidence for one in solutions),
    )


@st.composite
def elections(draw: st.DrawFn) -> tuple[list[One], list[One], list[list[int]], list[int]]:
    """Samples, those who join them, orders of the samples, and how many of these vote."""
    samples = draw(st.lists(SOLUTIONS, min_size=1, max_size=7))
    joined = draw(st.lists(SOLUTIONS, max_size=3))
    orders = draw(st.lists(st.permutations(range(len(samples))), min_size=1, max_size=4))
    lengths = draw(st.lists(st.integers(1, len(samples)), min_size=1, max_size=4))
    return samples, joined, orders, lengths


@pytest.mark.parametrize("vote", VOTES.values(), ids=str)
@settings(max_examples=40)  # of each of many votes
@given(election=elections())
def test_every_way_elects_what_it_would_alone(
    vote: Vote, election: tuple[list[One], list[One], list[list[int]], list[int]]
) -> None:
    samples, joined, orders, lengths = election
    ballots = Ballots(drawn(samples), np.array(orders), drawn(joined))
    found = ballots.elects_right(vote, np.array(lengths))
    for way, order in enumerate(orders):
        for k, length in enumerate(lengths):
            voters = [*(samples[i] for i in order[:length]), *joined]
            elected = elect(vote, voters, [one.answer for one in voters]).winner
            assert found[way, k] == (elected is not None and voters[elected].right)


@pytest.mark.parametrize("vote", VOTES.values(), ids=str)
@settings(max_examples=40)  # of each of many votes
@given(election=elections())
def test_every_answer_is_given_what_it_would_be_alone(
    vote: Vote, election: tuple[list[One], list[One], list[list[int]], list[int]]
) -> None:
    samples, _, orders, _ = election
    lengths = np.arange(1, len(samples) + 1)
    found = Ballots(drawn(samples), np.array(orders)).totals(vote, lengths)
    for way, order in enumerate(orders):
        for length in lengths:
            voters = [samples[i] for i in order[:length]]
            given = elect(vote, voters, [one.answer for one in voters]).totals
            assert sorted(each for each in found[way, length - 1] if each) == pytest.approx(
                sorted(each for each in given.values() if each)
            )
