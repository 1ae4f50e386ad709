"""What a bin's problems are given one after the other."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.voting import Weighted
from orchestrator.optimal.arms import Arm
from orchestrator.optimal.shared_budget.frontier import frontier

SURE = [True] * 100


def samples(n: int) -> Arm:
    return Arm(strategy="best_of_n", settings={"n": n}, vote=Weighted("last"))


TREE = Arm(strategy="beam_search", settings={"n": 16}, vote=Weighted("last"))


def test_the_arm_that_adds_most_for_what_it_uses_comes_next() -> None:
    arms = [samples(4), samples(8), samples(16), samples(64)]
    steps = frontier(arms, SURE, [0.5, 0.51, 0.8, 0.85], [100.0, 200.0, 400.0, 1600.0])
    assert [step.arm.n for step in steps] == [4, 16, 64]
    assert [round(step.extra) for step in steps] == [100, 300, 1200]


def test_a_tree_search_costs_all_of_its_own_wherever_it_comes() -> None:
    steps = frontier([samples(4), samples(16), TREE], SURE, [0.5, 0.7, 0.9], [100.0, 300.0, 900.0])
    assert [(step.arm.strategy, step.extra) for step in steps[1:]] == [
        ("best_of_n", 200.0), ("beam_search", 800.0),
    ]  # fmt: skip


def test_no_samples_follow_a_tree_search() -> None:
    steps = frontier(
        [samples(4), samples(64), TREE], SURE, [0.5, 0.95, 0.9], [100.0, 3000.0, 200.0]
    )
    assert [step.arm.strategy for step in steps] == ["best_of_n", "beam_search"]


def test_what_adds_nothing_is_left_out() -> None:
    (only,) = frontier([samples(4), samples(8)], SURE, [0.5, 0.5], [100.0, 200.0])
    assert only.arm.n == 4


def test_what_is_likely_to_add_comes_after_all_that_is_sure_to() -> None:
    arms = [samples(4), samples(8), samples(16)]
    steps = frontier(arms, [True, False, True], [0.5, 0.9, 0.8], [100.0, 200.0, 400.0])
    assert [(step.arm.n, step.sure) for step in steps] == [(4, True), (16, True), (8, False)]


NUMBERS = st.lists(
    st.tuples(st.floats(0, 1), st.floats(1, 1e4), st.booleans(), st.booleans()), min_size=1
)


@given(NUMBERS)
def test_rates_never_rise_and_accuracy_always_does(
    numbers: list[tuple[float, float, bool, bool]],
) -> None:
    right, used, sampled, sure = zip(*numbers, strict=True)
    arms = [samples(n) if each else TREE for n, each in enumerate(sampled, start=1)]
    steps = frontier(arms, sure, right, used)
    for kind in (True, False):
        rates = [step.rate for step in steps[1:] if step.sure is kind]
        assert all(more >= less * (1 - 1e-6) for more, less in pairwise(rates))
    assert all(step.gain > 0 for step in steps[1:])
