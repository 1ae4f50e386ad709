import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.expansion_rules import RULES, ExpansionRules
from orchestrator.core.node import Finish, Node
from orchestrator.core.rewards import Reward
from orchestrator.core.selection import Family, best, everything, select, usable


def node(*path: int, scores: tuple[float, ...] = (0.5,)) -> Node:
    return Node(question="", seed=0, path=path, scores=scores)


def child(index: int, step: str, finish: Finish | None = None) -> Node:
    return Node(question="", seed=0).child(index, (step,), finish=finish)


def test_the_best_come_first_and_ties_go_to_the_earlier_path() -> None:
    nodes = [node(1, 0), node(0, 2), node(0, 1), node(2, 0, scores=(0.9,))]
    random.Random(0).shuffle(nodes)
    assert [n.path for n in best(nodes, 3, "last")] == [(2, 0), (0, 1), (0, 2)]


@pytest.mark.parametrize(("reward", "first"), [("last", 1), ("min", 0), ("avg", 0), ("prod", 0)])
def test_the_reward_decides_who_is_best(reward: Reward, first: int) -> None:
    nodes = [node(0, scores=(0.6, 0.6)), node(1, scores=(0.1, 0.7))]
    assert best(nodes, 1, reward) == [nodes[first]]


def test_fewer_nodes_than_wanted_all_live_on() -> None:
    assert best([node(0)], 4, "last") == [node(0)]
    assert best([node(0)], 0, "last") == []


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
def test_of_duplicate_steps_the_first_is_kept(rules: ExpansionRules) -> None:
    same = [child(0, "a\n\n"), child(1, "b\n\n"), child(2, "a\n\n"), child(3, " a \n\n")]
    assert [n.path for n in usable(same, rules)] == [(0,), (1,)]


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
def test_steps_that_are_cut_off_are_not_usable(rules: ExpansionRules) -> None:
    cut: list[Finish] = ["length", "overflow", "filtered", "refused"]
    assert usable([child(i, "cut", finish) for i, finish in enumerate(cut)], rules) == []


def test_a_step_without_text_is_usable_under_the_papers_rules_alone() -> None:
    blank = [child(0, " \n\n"), child(1, "\n\n"), child(2, "", "empty")]
    assert usable(blank, RULES["paper"]) == blank[:1]
    assert usable(blank, RULES["orchard"]) == []


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
def test_a_finished_step_is_usable(rules: ExpansionRules) -> None:
    done = child(0, "so it is 4", "stop")
    assert usable([done], rules) == [done]


def test_where_everything_is_kept_a_cut_step_goes_on_only_if_it_ends_as_a_whole_one() -> None:
    came = [child(0, "cut", "length"), child(1, "whole\n\n", "length"), child(2, "x", "filtered")]
    assert [(n.path, n.finish) for n in everything(came, RULES["paper"])] == [
        ((0,), "length"), ((1,), None),
    ]  # fmt: skip


def test_beams_that_cannot_answer_any_more_are_left_out() -> None:
    """A finished child takes the last slot: what ranks below it would be expanded for nothing."""
    children = [node(0, i, scores=(0.9 - i / 10,)) for i in range(4)]
    children[1] = children[1].ended("stop")
    level = [Family(node(0, scores=(0.9,)), children), Family(node(1).ended("stop"), [node(1)])]
    for name, beams in {"paper": [(0, 0), (0, 1)], "orchard": [(0, 0)]}.items():
        found = select(level, 2, "last", RULES[name])  # type: ignore[index]
        assert [beam.path for beam in found.beams] == beams


@given(st.data(), st.sampled_from([*RULES.values()]), st.integers(1, 6))
def test_a_level_never_hands_out_more_slots_than_there_are(
    data: st.DataObject, rules: ExpansionRules, slots: int
) -> None:
    numbers = st.sampled_from([0.1, 0.5, 0.5, 0.9])
    level = []
    for i in range(data.draw(st.integers(1, slots))):
        beam = node(i, scores=(data.draw(numbers),))
        if data.draw(st.booleans()):
            beam = beam.ended("stop")
            level.append(Family(beam, [beam]))
            continue
        children = [node(i, j, scores=(data.draw(numbers),)) for j in range(3)]
        level.append(Family(beam, children if data.draw(st.booleans()) else []))
    answers, beams = select(level, slots, "last", rules)
    ended = [family.beam for family in level if family.beam.is_finished]
    assert answers == ended[: len(answers)] and len(answers) <= slots
    values = [beam.scores for beam in beams]
    assert values == sorted(values, reverse=True)
    if not rules.free_slots_late:
        assert len(answers) + len(beams) <= slots
