"""The generated problems: graded, held out by construction, and labelled step by step."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servers.tiny.problems import (
    LIMIT,
    MAX_DEPTH,
    SEPARATOR,
    TEST_DEPTHS,
    Chain,
    draw,
    final_text,
    generate,
    held_out,
    own_labels,
    parse,
    split_of,
    whole_chain_right,
)

seeds = st.integers(0, 2**32)
depths = st.integers(1, MAX_DEPTH)


@given(seeds, depths)
def test_every_value_stays_within_the_limit(seed: int, depth: int) -> None:
    chain = generate(random.Random(seed), depth)
    assert chain.depth == depth
    assert all(0 <= value < LIMIT for value in [chain.start, *chain.values])


@given(seeds, depths)
def test_a_question_reads_back_into_its_chain(seed: int, depth: int) -> None:
    chain = generate(random.Random(seed), depth)
    assert parse(chain.question) == chain


@given(seeds, depths, st.sampled_from(["train", "dev", "test"]))
def test_a_problem_belongs_to_the_split_it_was_drawn_for(seed: int, depth: int, split: str) -> None:
    chain = draw(random.Random(seed), depth, split)  # type: ignore[arg-type]
    assert split_of(chain) == split
    # the split is a function of the text alone, so no problem can be in two
    assert split_of(parse(chain.question)) == split


def test_training_and_held_out_problems_share_none_where_almost_all_exist() -> None:
    """At depth 1 there are few chains: 30,000 draws of either split see nearly all, and no two
    meet."""
    rng = random.Random(1)
    train = {draw(rng, 1, "train").question for _ in range(30_000)}
    test = {draw(rng, 1, "test").question for _ in range(30_000)}
    assert len(train) > 8_000
    assert len(test) > 1_000
    assert not train & test


def test_held_out_problems_are_distinct_test_problems_of_every_depth_in_turn() -> None:
    chains = list(held_out(90, seed=3))
    assert len(set(chains)) == 90
    assert {split_of(chain) for chain in chains} == {"test"}
    assert [chain.depth for chain in chains[: len(TEST_DEPTHS)]] == list(TEST_DEPTHS)


def test_the_first_held_out_problems_do_not_depend_on_how_many_are_asked_for() -> None:
    assert list(held_out(30, seed=3)) == list(held_out(60, seed=3))[:30]


def test_a_right_solution_has_right_steps_and_ends_with_its_answer() -> None:
    chain = Chain(10, (("+", 76), ("*", 2), ("/", 7)))
    assert chain.solution == SEPARATOR.join(
        [
            "Step A + 76: 10 + 76 = 86",
            "Step B * 2: 86 * 2 = 172",
            "Step C / 7: 172 / 7 = 24",
            r"Therefore, the final answer is: $\boxed{24}$.",
        ]
    )
    assert own_labels(chain, chain.steps) == [True] * 4
    assert whole_chain_right(chain, chain.solution)


@pytest.mark.parametrize(
    ("position", "step", "labels"),
    [
        # the arithmetic is wrong; what follows goes on from 87 and is right in itself
        (0, "Step A + 76: 10 + 76 = 87", [False, True]),
        # another number than the instruction's
        (0, "Step A + 75: 10 + 75 = 85", [False, True]),
        # another operation
        (0, "Step A - 6: 10 - 6 = 4", [False, True]),
        # not the value the step before ended with
        (1, "Step B * 2: 85 * 2 = 170", [True, False]),
        # too early
        (1, final_text(86), [True, False]),
        (1, "hello", [True, False]),
    ],
)
def test_a_step_is_judged_by_itself(position: int, step: str, labels: list[bool]) -> None:
    chain = Chain(10, (("+", 76), ("*", 2)))
    steps = chain.steps
    steps[position] = step
    if position == 0:  # the next step goes on from the value stated here
        value = int(step.rsplit(" ", 1)[1])
        steps[1] = f"Step B * 2: {value} * 2 = {value * 2}"
    assert own_labels(chain, steps)[:2] == labels


def test_an_answer_can_be_right_by_a_wrong_chain_and_is_told_apart() -> None:
    chain = Chain(10, (("+", 76), ("/", 43)))
    wrong = "\n\n".join(["Step A + 76: 10 + 76 = 87", "Step B / 43: 87 / 43 = 2", final_text(2)])
    assert chain.answer == "2"
    assert not whole_chain_right(chain, wrong)


@pytest.mark.parametrize("text", ["", "What is 1 + 1?", "Start with 3. Then . What is the result?"])
def test_any_other_text_is_no_question(text: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        parse(text)
