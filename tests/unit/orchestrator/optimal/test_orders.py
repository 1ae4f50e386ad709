"""Votes over samples, all orders at once, are what they are one by one."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.rewards import value
from orchestrator.core.stopping import is_settled
from orchestrator.core.tree import Node
from orchestrator.core.voting import elect
from orchestrator.optimal.arms import Arm
from orchestrator.optimal.measured import Leaf
from orchestrator.optimal.orders import Orders

PILOTS = 2
USED = (0.0, 11.0, 5.0, 120.0, 60.0, 0.9, 2.0)


@st.composite
def leaves(draw: st.DrawFn) -> list[Leaf]:
    right = draw(st.integers(0, 3))
    answers = st.one_of(st.none(), st.integers(0, 3))
    return [
        Leaf(
            answer=(answer := draw(answers)),
            right=answer == right,
            scores=(draw(st.integers(1, 9)) / 10,),
            tokens=draw(st.integers(1, 50)),
            text=draw(st.sampled_from("abcdef")),
        )
        for _ in range(9)
    ]


STOPS = st.one_of(
    st.none(),
    st.sampled_from([0.6, 0.75, 0.9]).map(
        lambda confidence: {"rule": "beta", "confidence": confidence, "batch": PILOTS}
    ),
)


def drawn(arm: Arm, samples: list[Leaf]) -> list[Leaf]:
    """As ``strategies.draw`` goes on: by batches, until the vote is settled."""
    count = PILOTS if arm.stop else arm.n
    while arm.stop and count < arm.n:
        totals: dict[int, float] = {}
        for each in samples[:count]:
            if each.answer is not None:
                weight = 1.0 if arm.strategy == "majority" else value(each.scores, "last")
                totals[each.answer] = totals.get(each.answer, 0.0) + weight
        if is_settled(list(totals.values()), arm.n - count, "beta", arm.stop["confidence"]):
            break
        count = min(arm.n, count + PILOTS)
    return samples[:count]


@given(
    leaves(),
    st.sampled_from(["majority", "max_last", "weighted_last"]),
    st.sampled_from([2, 4, 7]),
    STOPS,
    st.lists(st.permutations(range(9)), min_size=1, max_size=4),
)
def test_every_order_elects_and_costs_what_it_would_alone(
    samples: list[Leaf], vote: str, n: int, stop: dict[str, object] | None, orders: list[list[int]]
) -> None:
    settings = {"n": n} | ({"stop": stop} if stop else {})
    arm = Arm(
        strategy="majority" if vote == "majority" else "best_of_n", settings=settings, vote=vote
    )
    right, used = Orders(samples, np.array(orders), PILOTS, USED).outcome(arm)
    for way, order in enumerate(orders):
        voters = drawn(arm, [samples[i] for i in order])
        nodes = [Node(question="", seed=0, scores=each.scores) for each in voters]
        elected = elect(vote, nodes, [each.answer for each in voters])
        assert right[way] == float(elected is not None and voters[elected].right)
        assert used[way, 0] == sum(each.tokens for each in voters)
        scored = [voters[:PILOTS], voters[PILOTS:] if vote != "majority" else []]
        texts = sum(len({each.text for each in part}) for part in scored)
        assert used[way, 3] == 120.0 * texts / len({each.text for each in samples[1:]})
        assert used[way, 1] == 11.0 * (1 + (len(voters) > PILOTS))


def test_the_greedy_answer_stands_alone_but_its_pilots_are_paid_for() -> None:
    samples = [
        Leaf(answer=i, right=i == 0, scores=(0.5,), tokens=10, text=str(i)) for i in range(4)
    ]
    drawn = Orders(samples, np.array([[0, 1, 2, 3]]), PILOTS, USED)
    right, used = drawn.outcome(Arm(strategy="cot", settings={}, vote="majority"))
    assert right.tolist() == [1.0]
    assert used[0, 0] == 20
