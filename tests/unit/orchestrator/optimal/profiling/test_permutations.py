"""Votes over samples, all orders at once, are what they are one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.confidence import Confidence
from orchestrator.core.stopping import is_settled, is_sure
from orchestrator.core.voting import (
    ByConfidence,
    ByScores,
    Majority,
    Max,
    MostConfident,
    Vote,
    Weighted,
    elect,
    most_to_change,
)
from orchestrator.optimal.arms import CONFIDENT_VOTES, PAPER_VOTES, POOR_PRM_VOTES, Arm
from orchestrator.optimal.profiling.measured import Leaf, Searched
from orchestrator.optimal.profiling.permutations import Permutations

PILOTS = 2
USED = (0.0, 11.0, 5.0, 120.0, 60.0, 0.9, 2.0)


CONFIDENCES = st.none() | st.integers(-8, 0).map(lambda tenths: Confidence.level(tenths / 10))
SCORES = st.one_of(st.just(()), st.integers(0, 10).map(lambda tenths: (tenths / 10,)))
"""None where a solution was not scored."""


@st.composite
def leaves(draw: st.DrawFn) -> list[Leaf]:
    """Nine samples, and four solutions of a tree search."""
    right = draw(st.integers(0, 4))
    answers = st.one_of(st.none(), st.integers(0, 4))
    return [
        Leaf(
            answer=(answer := draw(answers)),
            right=answer == right,
            scores=draw(SCORES),
            tokens=draw(st.integers(1, 50)),
            text=draw(st.sampled_from("abcdef")),
            confidence=draw(CONFIDENCES),
        )
        for _ in range(13)
    ]


STOPS = st.one_of(
    st.none(),
    st.sampled_from([0.6, 0.75, 0.9]).map(
        lambda confidence: {"rule": "beta", "confidence": confidence, "batch": PILOTS}
    ),
)


def given_so_far(arm: Arm, samples: list[Leaf]) -> list[float]:
    return list(
        elect(arm.stopping_vote, samples, [each.answer for each in samples]).totals.values()
    )


def drawn(arm: Arm, samples: list[Leaf]) -> list[Leaf]:
    """As ``strategies.sampling`` goes on: by batches, until the vote is settled."""
    if not arm.is_sampling:
        return samples[:PILOTS]
    count = PILOTS if arm.stop else arm.n
    while arm.stop and count < arm.n:
        so_far = given_so_far(arm, samples[:count])
        to_come = most_to_change(arm.stopping_vote, arm.n - count)
        if is_settled(so_far, to_come, "beta", arm.stop["confidence"]):
            break
        count = min(arm.n, count + PILOTS)
    return samples[:count]


def is_followed(arm: Arm, voters: list[Leaf]) -> bool:
    if not arm.has_fallback:
        return not arm.is_sampling
    assert arm.stop is not None
    is_all = len(voters) == arm.n
    return is_all and not is_sure(given_so_far(arm, voters), "beta", arm.stop["confidence"])


def elects(vote: Vote, voters: list[Leaf]) -> float:
    elected = elect(vote, voters, [each.answer for each in voters]).winner
    return float(elected is not None and voters[elected].right)


ORDERS = st.lists(st.permutations(range(9)), min_size=1, max_size=4)


@given(
    leaves(),
    st.sampled_from([*PAPER_VOTES, *POOR_PRM_VOTES, *CONFIDENT_VOTES]),
    st.sampled_from([2, 4, 7]),
    STOPS,
    ORDERS,
)
def test_every_order_elects_and_costs_what_it_would_alone(
    leaves: list[Leaf], vote: Vote, n: int, stop: dict[str, object] | None, orders: list[list[int]]
) -> None:
    samples = leaves[:9]
    by_confidence = isinstance(vote, ByConfidence) and not isinstance(vote, MostConfident)
    named = {"vote": vote.name} if by_confidence else {}
    settings = {"n": n} | ({"stop": stop | named} if stop else {})
    strategy = "best_of_n" if isinstance(vote, ByScores) else "majority"
    arm = Arm(strategy=strategy, settings=settings, vote=vote)
    right, used = Permutations(samples, np.array(orders), PILOTS, USED).outcome(arm)
    for way, order in enumerate(orders):
        voters = drawn(arm, [samples[i] for i in order])
        assert right[way] == elects(vote, voters)
        assert used[way, 0] == sum(each.tokens for each in voters)
        scored = [voters[:PILOTS], voters[PILOTS:] if isinstance(vote, ByScores) else []]
        texts = sum(len({each.text for each in part}) for part in scored)
        assert used[way, 3] == 120.0 * texts / len({each.text for each in samples[1:]})
        assert used[way, 1] == 11.0 * (1 + (len(voters) > PILOTS))


@given(
    leaves(),
    st.sampled_from([Max("last"), Weighted("last")]),
    st.sampled_from([None, 2, 4, 7]),
    st.sampled_from([0.6, 0.75, 0.9]),
    ORDERS,
)
def test_a_tree_search_joins_the_pilots_or_what_they_left_unsettled(
    leaves: list[Leaf], vote: Vote, n: int | None, confidence: float, orders: list[list[int]]
) -> None:
    samples, tree = leaves[:9], Searched(leaves=tuple(leaves[9:]), used=(100.0,) * 7)
    stop = {"rule": "beta", "confidence": confidence, "batch": PILOTS}
    dvts = {"strategy": "dvts", "n": 16}
    arm = Arm(
        strategy="dvts" if n is None else "best_of_n",
        settings={"n": 16} if n is None else {"n": n, "stop": stop, "then": dvts},
        vote=vote,
    )
    right, used = Permutations(samples, np.array(orders), PILOTS, USED, [tree]).outcome(arm, tree)
    for way, order in enumerate(orders):
        voters = drawn(arm, [samples[i] for i in order])
        joins = is_followed(arm, voters)
        assert right[way] == elects(vote, [*voters, *(tree.leaves if joins else ())])
        assert used[way, 0] == sum(each.tokens for each in voters) + 100 * joins


def solutions(count: int) -> list[Leaf]:
    return [
        Leaf(answer=i, right=i == 0, scores=(0.5,), tokens=10, text=str(i)) for i in range(count)
    ]


@pytest.mark.parametrize("n", [2, 4, 8])
def test_samples_of_a_request_each_take_a_prompt_each(n: int) -> None:
    used = (160.0, 16 * 11.0, 16 * 5.0, 320.0, 0.0, 0.32, 2.0)
    orders = Permutations(solutions(17), np.arange(17)[None, :], PILOTS, used, one_per_request=True)
    arm = Arm(strategy="best_of_n", settings={"n": n}, vote=Max("last"))
    _, took = orders.outcome(arm)
    policy_tokens, prompt, cached, prm, _, cost, _ = took[0]
    assert (policy_tokens, prompt, cached, prm) == (10 * n, 11 * n, 5 * n, 20 * n)
    assert cost == pytest.approx(0.02 * n)


def test_the_greedy_answer_stands_alone_but_its_pilots_are_paid_for() -> None:
    drawn = Permutations(solutions(4), np.array([[0, 1, 2, 3]]), PILOTS, USED)
    right, used = drawn.outcome(Arm(strategy="cot", settings={}, vote=Majority()))
    assert right.tolist() == [1.0]
    assert used[0, 0] == 20
