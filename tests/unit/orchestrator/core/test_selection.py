import random

import pytest

from orchestrator.core.rewards import Reward
from orchestrator.core.selection import best, usable
from orchestrator.core.tree import Finish, Node


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


def test_of_duplicate_steps_the_first_is_kept() -> None:
    kept = usable([child(0, "a\n\n"), child(1, "b\n\n"), child(2, "a\n\n"), child(3, " a \n\n")])
    assert [n.path for n in kept] == [(0,), (1,)]


def test_steps_that_are_empty_or_cut_off_are_not_usable() -> None:
    bad = [child(0, ""), child(1, " \n\n"), child(2, "cut", "length"), child(3, "x", "overflow")]
    assert usable(bad) == []
    assert usable([Node(question="", seed=0).child(0, ())]) == []


def test_a_finished_step_is_usable() -> None:
    done = child(0, "so it is 4", "stop")
    assert usable([done]) == [done]
