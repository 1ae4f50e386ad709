import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.confidence import Confidence
from orchestrator.core.node import (
    FORKS,
    Node,
    StatedAnswer,
    Tree,
    Turn,
    derive_seed,
    root,
    sharing,
    split_steps,
)


def start(seed: int = 7, problem: str = "p") -> Node:
    return root("What is 1 + 1?", seed=seed, problem_id=problem)


def test_a_seed_depends_on_the_path_and_the_root_seed_alone() -> None:
    rich = start().child(0, ("one\n\n",), step_tokens=3, token_ids=(b"1,2",)).scored([0.5])
    poor = start().child(0, ("another\n\n",))
    assert rich.child(2, ("x",)).seed == poor.child(2, ("y",)).seed


def test_runs_problems_and_paths_of_their_own_have_seeds_of_their_own() -> None:
    nodes = [start(), start(seed=8), start(problem="q"), start().child(0, ()), start().child(1, ())]
    deeper = [start().child(0, ()).child(1, ()), start().child(1, ()).child(0, ())]
    seeds = [node.seed for node in [*nodes, *deeper]]
    assert len(set(seeds)) == len(seeds)


@pytest.mark.parametrize("number", [0, 1, 3, 64])
def test_a_child_and_a_fork_of_one_number_are_never_the_same(number: int) -> None:
    node = start().child(2, ("step",))
    derived = [node.child(number, ()), node.fork(number)]
    nodes = [*derived, *(each.child(0, ()) for each in derived)]
    assert len({each.path for each in nodes}) == len(nodes)
    assert len({each.seed for each in nodes}) == len(nodes)


@pytest.mark.parametrize("number", [0, 3, 64])
def test_the_third_child_the_third_fork_and_the_third_question_are_never_the_same(
    number: int,
) -> None:
    node = start().child(2, ("step",))
    asked = [node.ask(text) for text in ("Are you sure?", "Why?", str(number))]
    derived = [node.child(number, ()), node.fork(number), *asked]
    nodes = [*derived, *(each.child(0, ()) for each in derived), *(n.fork(3) for n in derived)]
    assert len({each.path for each in nodes}) == len(nodes)
    assert len({each.seed for each in nodes}) == len(nodes)


def test_the_same_question_gives_the_same_node_in_every_process() -> None:
    leaf = start().child(0, ("It is 2.",), finish="stop")
    assert leaf.ask("Are you sure?") == leaf.ask("Are you sure?")
    assert leaf.ask("Are you sure?").path == (0, 1_471_663_954)
    assert leaf.ask("Are you sure?").seed == 212_413_506


def test_a_question_leaves_its_solution_as_it_is_and_begins_the_next() -> None:
    leaf = start().child(0, ("a\n\n", "It is 2."), finish="stop", step_tokens=5).scored([0.5, 0.9])
    asked = leaf.ask("Are you sure?")
    assert (asked.question, asked.steps, asked.text) == (leaf.question, (), "")
    assert (asked.scores, asked.finish, asked.token_ids) == ((), None, None)
    assert (asked.tokens, asked.step_tokens, asked.tree) == (5, 0, leaf.tree)
    second = asked.child(1, ("It is 3.",), finish="stop", step_tokens=4).scored([0.2])
    assert (second.text, second.scores, second.tokens) == ("It is 3.", (0.2,), 9)
    assert second.turns == (
        Turn("user", "What is 1 + 1?"),
        Turn("assistant", "a\n\nIt is 2."),
        Turn("user", "Are you sure?"),
        Turn("assistant", "It is 3."),
    )


def test_a_solution_that_says_nothing_is_no_turn() -> None:
    asked = start().child(0, (), finish="empty").ask("Please answer.")
    assert asked.turns == (Turn("user", "What is 1 + 1?"), Turn("user", "Please answer."))


def test_what_a_question_and_a_fork_are_about_is_the_last_sample() -> None:
    leaf = start().fork(2).child(1, ("It is 2.",))
    assert leaf.sampled == leaf.path == leaf.ask("Why?").fork(3).sampled
    assert start().fork(2).sampled == ()


def test_paths_sort_as_samples_are_drawn() -> None:
    node = start()
    first = [node.child(i, ()) for i in range(12)]
    later = [node.fork(number).child(i, ()) for number in (12, 16, 120) for i in range(4)]
    drawn = [node, *first, *later]
    assert all(one.path < other.path for one, other in pairwise(drawn))


def test_the_next_fork_counts_the_samples_before_it() -> None:
    node = start().fork(3)
    leaves = [node.child(i, ()) for i in range(4)]
    assert node.next_fork(leaves) == node.fork(4)


def test_the_next_fork_is_none_that_samples_came_from_though_others_were_lost() -> None:
    node = start()
    leaves = [node.fork(1).child(2, ())]
    assert node.next_fork(leaves) == node.fork(2)
    leaves.append(node.fork(2).child(0, ()))
    assert node.next_fork(leaves) == node.fork(3)


def test_a_node_is_redrawn_in_its_place_under_a_seed_of_its_own() -> None:
    node, ways = start().child(2, ("step",)), ("try", "sample", "refill")
    redrawn = [node.redrawn(why, number) for why in ways for number in (1, 2)]  # type: ignore[arg-type]
    assert {each.path for each in redrawn} == {node.path}
    assert len({node.seed, *(each.seed for each in redrawn)}) == 7


@given(st.lists(st.integers(0, 50), min_size=1, max_size=8), st.integers(0, 100))
def test_children_of_one_request_share_what_was_lost_beside_them_to_the_last_token(
    steps: list[int], lost: int
) -> None:
    children = [start().child(i, ("a",), step_tokens=tokens) for i, tokens in enumerate(steps)]
    written = sum(steps) + lost
    shared = sharing(children, prompt_tokens=9, cached_tokens=3, written_tokens=written)
    parts = [child.lost_tokens for child in shared]
    assert sum(parts) == lost and max(parts) - min(parts) <= 1
    assert {(child.prompt_tokens, child.cached_tokens) for child in shared} == {(9, 3)}
    assert [child.step_tokens for child in shared] == steps


@given(st.integers(), st.lists(st.integers() | st.text()))
def test_every_seed_has_31_bits(seed: int, keys: list[int | str]) -> None:
    assert 0 <= derive_seed(seed, *keys) < 2**31


def test_seeds_are_the_same_in_every_process_and_version() -> None:
    assert derive_seed(0) == 436_422_930
    assert derive_seed(2026, "chains-1", 3) == 1_602_353_393


def test_a_child_goes_one_sample_on_and_keeps_what_its_parent_knew() -> None:
    parent = start().child(1, ("a\n\n",), step_tokens=4).scored([0.9], prm_tokens=11)
    child = parent.child(2, ("b",), finish="stop", step_tokens=3, prompt_tokens=9, cached_tokens=8)
    assert child.path == (1, 2)
    assert child.text == "a\n\nb"
    assert (child.tokens, child.step_tokens) == (7, 3)
    assert (child.prompt_tokens, child.cached_tokens, child.prm_tokens) == (9, 8, 0)
    assert child.scores == (0.9,)
    assert child.is_finished
    assert not parent.is_finished


def test_a_fork_is_the_same_state_elsewhere() -> None:
    node = start().child(0, ("a",), token_ids=(b"5",), step_tokens=1)
    fork = node.fork(3)
    assert (fork.steps, fork.token_ids, fork.tokens) == (node.steps, node.token_ids, node.tokens)
    assert fork.path == (0, FORKS + 3)


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("", ()),
        ("  \n", ()),
        ("one", ("one",)),
        ("one\n\n", ("one\n\n",)),
        ("one\n\ntwo", ("one\n\n", "two")),
        ("one\n\n\n\n \n\ntwo\n\n", ("one\n\n", "two\n\n")),
        ("one\n\n\ntwo", ("one\n\n", "\ntwo")),
    ],
)
def test_a_solution_splits_into_steps_that_keep_their_separator(
    text: str, steps: tuple[str, ...]
) -> None:
    assert split_steps(text, "\n\n") == steps


@given(st.text(alphabet="ab \n"))
def test_splitting_loses_nothing_but_blank_steps_and_changes_nothing_when_repeated(
    text: str,
) -> None:
    steps = split_steps(text, "\n\n")
    assert all(step.strip() for step in steps)
    assert "".join(steps).replace("\n", "").replace(" ", "") == text.replace("\n", "").replace(
        " ", ""
    )
    assert split_steps("".join(steps), "\n\n") == steps


def test_an_unmetered_sample_counts_nothing() -> None:
    child = start().child(0, ("a",))
    counted = (
        child.tokens, child.step_tokens, child.prompt_tokens, child.cached_tokens, child.request,
        child.lost_tokens, child.prm_tokens, child.prm_cached_tokens, child.prm_written_tokens,
    )  # fmt: skip
    assert counted == (0,) * 9
    scored = child.scored([0.5])
    assert (scored.prm_tokens, scored.prm_cached_tokens, scored.prm_written_tokens) == (0, 0, 0)


def test_nodes_are_equal_whatever_is_known_beside_their_state() -> None:
    node = start().child(0, ("a",), confidence=Confidence.level(-1.0), model="m")
    same = (
        start()
        .child(0, ("a",), confidence=Confidence.level(-2.0), model="n")
        .scored((), prm_model="q")
    )
    assert node == replace(same, unscored=True, answer=StatedAnswer("7"), tree=Tree(key="another"))
    assert node != replace(same, lost_tokens=1)
    assert StatedAnswer("7", {"7.0"}) == StatedAnswer("7")


def test_children_of_a_request_that_was_billed_too_little_lost_nothing() -> None:
    children = [start().child(i, ("a",), step_tokens=5) for i in range(2)]
    shared = sharing(children, prompt_tokens=1, cached_tokens=0, written_tokens=9)
    assert [child.lost_tokens for child in shared] == [0, 0]
    assert sharing([], prompt_tokens=1, cached_tokens=0, written_tokens=9) == []


def test_the_first_of_its_children_bears_what_does_not_divide() -> None:
    children = [start().child(i, ("a",)) for i in range(3)]
    shared = sharing(children, prompt_tokens=1, cached_tokens=0, written_tokens=5)
    assert [child.lost_tokens for child in shared] == [2, 2, 1]


def test_children_forks_and_questions_are_numbered_apart() -> None:
    assert start().child(3, ()).path == (3,)
    assert start().fork(3).path == (1_000_003,)
    assert start().ask("Why?").path[0] >= 2_000_000


def test_a_tree_without_a_deadline_has_all_the_time_there_is() -> None:
    assert Tree().deadline == math.inf
    assert Tree().number == 0
