from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.confidence import Confidence
from orchestrator.core.node import Node
from orchestrator.core.voting import (
    VOTES,
    BestOfMajority,
    Election,
    Majority,
    Max,
    MostConfident,
    Vote,
    Voter,
    Weighted,
    elect,
    ties,
)

ALONE = Max | BestOfMajority | MostConfident
"""Votes under which a single leaf decides, the first of equals."""

BY_MEASURE = [vote for vote in VOTES.values() if vote != Majority()]
SCORES = st.lists(st.integers(0, 10).map(lambda tenths: tenths / 10), max_size=3)
ELECTORATE = st.lists(st.tuples(st.none() | st.integers(0, 3), SCORES), max_size=12)
"""Classes and scores, with many ties; no scores where a leaf was never scored."""

Electorate = list[tuple[int | None, list[float]]]


def leaves(*scores: Sequence[float]) -> list[Node]:
    """The policy is as sure of each as the PRM, so that what holds by scores does by confidence."""
    return [
        Node(question="", seed=0, path=(i,), scores=tuple(s), confidence=as_sure(s))
        for i, s in enumerate(scores)
    ]


def as_sure(scores: Sequence[float]) -> Confidence | None:
    if not scores:
        return None
    last, mean = scores[-1], sum(scores) / len(scores)
    return Confidence(mean=mean - 1, tail=last - 1, lowest=min(scores) - 1)


def held(vote: Vote, electorate: Electorate) -> Election:
    voters = leaves(*(scores for _, scores in electorate))
    return elect(vote, voters, [voted for voted, _ in electorate])


def elected(vote: Vote, electorate: Electorate) -> int | None:
    return held(vote, electorate).winner


def first(name: str, voters: list[Node], classes: Sequence[int | None]) -> int | None:
    """The leaf that a named vote elects."""
    return elect(VOTES[name], voters, classes).winner


def test_the_majority_is_the_class_with_the_most_members() -> None:
    assert first("majority", leaves(*[[]] * 5), [0, 1, 1, None, 2]) == 1


def test_an_unextractable_answer_never_votes() -> None:
    assert first("majority", leaves(*[[]] * 4), [None, None, None, 0]) == 3
    assert first("max_last", leaves([0.9], [0.1]), [None, 0]) == 1
    assert first("weighted_last", leaves([0.9], [0.9], [0.1]), [None, None, 0]) == 2


def test_ties_go_to_the_class_or_leaf_seen_first() -> None:
    assert first("majority", leaves(*[[]] * 4), [3, 1, 1, 3]) == 0
    assert first("max_last", leaves([0.5], [0.5]), [0, 1]) == 0
    assert first("weighted_last", leaves([0.5], [0.25], [0.25]), [0, 1, 1]) == 0


def test_sums_that_differ_by_rounding_alone_are_a_tie() -> None:
    assert 0.1 + 0.2 > 0.3
    assert first("weighted_last", leaves([0.3], [0.1], [0.2]), [0, 1, 1]) == 0
    assert first("weighted_last", leaves([0.1], [0.2], [0.3]), [1, 1, 0]) == 1


def test_the_highest_vote_takes_the_best_leaf_that_has_an_answer() -> None:
    assert first("max_last", leaves([0.2], [0.9], [0.7], [0.3]), [0, None, 0, 1]) == 2


def test_the_weighted_vote_returns_the_best_member_of_the_heaviest_class() -> None:
    assert first("weighted_last", leaves([0.8], [0.2], [0.5], [0.3]), [0, 1, 1, 1]) == 2


def test_the_weighted_vote_lets_one_sure_leaf_outweigh_two_doubtful_ones() -> None:
    assert first("weighted_last", leaves([0.9], [0.3], [0.4]), [0, 1, 1]) == 0


@pytest.mark.parametrize("vote", VOTES.values(), ids=str)
@pytest.mark.parametrize("classes", [[], [None], [None, None]])
def test_where_no_leaf_has_an_answer_nobody_is_elected(
    vote: Vote, classes: list[int | None]
) -> None:
    voters = leaves(*([0.5] for _ in classes))
    election = elect(vote, voters, classes)
    assert (election.winner, election.by) == (None, vote)


@pytest.mark.parametrize(
    ("vote", "winner"),
    [("majority", 1), ("max_last", 3), ("max_min", 0), ("max_avg", 0), ("weighted_last", 2)],
)
def test_a_vote_counts_the_scores_its_name_says(vote: str, winner: int) -> None:
    scored = leaves([0.6, 0.65], [0.1, 0.6], [0.2, 0.7], [0.0, 0.8])
    assert first(vote, scored, [0, 1, 1, 2]) == winner


@pytest.mark.parametrize("vote", BY_MEASURE, ids=str)
def test_where_no_voter_is_scored_the_majority_decides(vote: Vote) -> None:
    unscored, classes = leaves([], [], [], [], []), [1, 0, 0, 0, 0]
    election = elect(vote, unscored, classes)
    assert (election.winner, election.by) == (1, Majority())
    # the score of a leaf that has no answer decides nothing
    election = elect(vote, leaves([], [], [], [0.9]), [1, 0, 0, None])
    assert (election.winner, election.by) == (1, Majority())


@pytest.mark.parametrize("vote", BY_MEASURE, ids=str)
def test_beside_scored_leaves_an_unscored_one_abstains(vote: Vote) -> None:
    mixed, classes = leaves([], [], [0.3], []), [0, 0, 1, 0]
    election = elect(vote, mixed, classes)
    assert (election.winner, election.by) == (2, vote)
    assert elect(vote, leaves([], [0.0], []), [0, 1, 0]).winner == 1
    assert first("weighted_last", leaves([0.2], [0.3], [], [0.4]), [0, 1, 1, 0]) == 3


def test_only_the_majority_needs_neither_scores_nor_confidences() -> None:
    assert [name for name, vote in VOTES.items() if vote.weights(leaves([]), [0]) != [None]] == [
        "majority"
    ]


def test_a_name_says_the_kind_and_the_reward() -> None:
    assert VOTES["weighted_min"] == Weighted("min")
    assert Max("last").name == "max_last"


def test_every_name_is_a_votes() -> None:
    assert len(set(VOTES.values())) == len(VOTES) == 29
    assert "max_median" not in VOTES


class Shortest:
    """A vote of one's own: short solutions weigh more, empty ones abstain."""

    name = "shortest"

    def weights(self, voters: Sequence[Voter], classes: Sequence[int]) -> list[float | None]:
        return [1 / len(voter.scores) if voter.scores else None for voter in voters]


def test_a_vote_of_ones_own_is_a_class_with_weights_and_a_name() -> None:
    election = elect(Shortest(), leaves([0.1] * 4, [0.1] * 2, [], [0.1] * 4), [0, 1, 0, 0])
    assert (election.winner, election.totals) == (0, {0: 0.5, 1: 0.5})
    assert elect(Shortest(), leaves([], []), [None, 0]).by == Majority()


@pytest.mark.parametrize("weight", [-0.1, float("nan"), float("inf")])
def test_a_weight_that_is_none_is_refused(weight: float) -> None:
    class Wrong:
        name = "wrong"

        def weights(self, voters: Sequence[Voter], classes: Sequence[int]) -> list[float | None]:
            return [weight for _ in voters]

    with pytest.raises(ValueError, match="wrong gives a leaf the weight"):
        elect(Wrong(), leaves([]), [0])


@pytest.mark.parametrize("vote", VOTES.values(), ids=str)
@given(electorate=ELECTORATE)
def test_no_ballot_weighs_less_than_nothing(vote: Vote, electorate: Electorate) -> None:
    assert all(ballot.weight >= 0 for ballot in held(vote, electorate).ballots)


@pytest.mark.parametrize("vote", VOTES.values(), ids=str)
@given(electorate=ELECTORATE)
def test_whoever_is_elected_is_a_best_ballot_of_a_largest_class(
    vote: Vote, electorate: Electorate
) -> None:
    election = held(vote, electorate)
    winner, cast = election.winner, election.ballots
    if winner is None:
        assert not cast
    else:
        (mine,) = [ballot for ballot in cast if ballot.leaf == winner]
        own = [ballot.weight for ballot in cast if ballot.answer == mine.answer]
        assert mine.weight == max(own)
        given = election.totals
        assert given[mine.answer] == pytest.approx(max(given.values()), rel=1e-8)


@pytest.mark.parametrize("vote", VOTES.values(), ids=str)
@given(electorate=ELECTORATE, data=st.data())
def test_the_order_of_the_leaves_decides_between_equals_alone(
    vote: Vote, electorate: Electorate, data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(electorate))))
    winner, other = elected(vote, electorate), elected(vote, [electorate[i] for i in order])
    assert (winner is None) == (other is None)
    if winner is None or other is None:
        return
    voters = leaves(*(scores for _, scores in electorate))
    election = held(vote, electorate)
    if isinstance(vote, ALONE) and election.by == vote:
        worth = vote.values
        assert worth([voters[winner]]) == worth([voters[order[other]]])
    else:
        given = election.totals
        ours, theirs = (electorate[i][0] for i in (winner, order[other]))
        assert ours is not None and theirs is not None
        assert given[ours] == pytest.approx(given[theirs], rel=1e-8)


@pytest.mark.parametrize("vote", VOTES.values(), ids=str)
@given(electorate=ELECTORATE, data=st.data())
def test_a_class_never_loses_by_an_unscored_member(
    vote: Vote, electorate: Electorate, data: st.DataObject
) -> None:
    winner = elected(vote, electorate)
    if winner is not None:
        voted = electorate[winner][0]
        at = data.draw(st.integers(0, len(electorate)))
        more = [*electorate[:at], (voted, []), *electorate[at:]]
        again = elected(vote, more)
        assert again is not None and more[again][0] == voted


@pytest.mark.parametrize("vote", BY_MEASURE, ids=str)
@given(electorate=ELECTORATE, data=st.data())
def test_an_unscored_leaf_changes_no_vote_of_scored_ones(
    vote: Vote, electorate: Electorate, data: st.DataObject
) -> None:
    winner = elected(vote, electorate)
    if winner is not None and electorate[winner][1]:
        at = data.draw(st.integers(0, len(electorate)))
        other = data.draw(st.integers(0, 4))
        again = elected(vote, [*electorate[:at], (other, []), *electorate[at:]])
        assert again == winner + (at <= winner)


@pytest.mark.parametrize(
    ("vote", "weights"),
    [
        ("majority", [1.0, 1.0, 1.0]),
        ("weighted_last", [0.5, 0.75, 0.75]),
        ("weighted_min", [0.5, 0.25, 0.75]),
        ("max_last", [0.0, 0.75, 0.0]),
    ],
)
def test_a_ballot_weighs_what_its_vote_says(vote: str, weights: list[float]) -> None:
    cast = elect(VOTES[vote], leaves([0.5], [0.25, 0.75], [0.75]), [0, 1, 0]).ballots
    assert [(ballot.leaf, ballot.answer) for ballot in cast] == [(0, 0), (1, 1), (2, 0)]
    assert [ballot.weight for ballot in cast] == weights


def test_sums_tie_up_to_a_billionth_of_the_larger() -> None:
    assert ties(4.0, 4.0) and ties(4.0 - 3.9e-9, 4.0)
    assert not ties(4.0 - 4.1e-9, 4.0)
    assert ties(0.0, 0.0)


def test_of_the_elected_class_the_best_leaf_answers_and_the_first_of_equals() -> None:
    assert first("weighted_last", leaves([0.5], [0.75], [0.75], [0.25]), [0, 0, 0, 1]) == 1
    assert first("majority", leaves([0.5], [0.75], [0.75]), [1, 0, 0]) == 1


def test_nobody_is_elected_by_nobody() -> None:
    assert first("majority", [], []) is None
    assert first("max_last", leaves([0.5]), [None]) is None
    assert elect(Max("last"), leaves([0.5]), [None]).by == Max("last")


def test_the_majority_decides_where_no_voter_is_scored() -> None:
    assert elect(Max("last"), leaves([], [0.9]), [0, None]).by == Majority()
    assert elect(Max("last"), leaves([], [0.9]), [0, 1]).by == Max("last")


SUMMED = [vote for vote in VOTES.values() if not isinstance(vote, ALONE)]


@pytest.mark.parametrize("vote", SUMMED, ids=str)
@given(electorate=ELECTORATE, data=st.data())
def test_a_leaf_weighs_the_same_wherever_it_comes(
    vote: Vote, electorate: Electorate, data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(electorate))))
    voters, classes = leaves(*(each for _, each in electorate)), [a or 0 for a, _ in electorate]
    weights = vote.weights(voters, classes)
    assert vote.weights([voters[i] for i in order], [classes[i] for i in order]) == [
        weights[i] for i in order
    ]


@pytest.mark.parametrize("vote", VOTES.values(), ids=str)
@given(electorate=ELECTORATE, numbers=st.permutations(range(4)))
def test_answers_are_told_apart_and_no_more(
    vote: Vote, electorate: Electorate, numbers: list[int]
) -> None:
    renamed = [(None if a is None else 7 * numbers[a], scores) for a, scores in electorate]
    assert elected(vote, renamed) == elected(vote, electorate)


@pytest.mark.parametrize("vote", SUMMED, ids=str)
@given(answers=st.lists(st.integers(0, 3), min_size=1, max_size=9), score=st.integers(1, 10))
def test_among_equals_a_vote_is_the_majoritys(vote: Vote, answers: list[int], score: int) -> None:
    equals: Electorate = [(answer, [score / 10]) for answer in answers]
    assert elected(vote, equals) == elected(Majority(), equals)
