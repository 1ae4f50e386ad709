import math

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.node import Node, Tree
from orchestrator.endpoints.admission.fair_queue import Served, Turns, Waiter


def waiter(
    run: str = "", number: int = 0, *, begun: bool = False, deadline: float = math.inf
) -> Waiter:
    tree = Tree(run=run, number=number, deadline=deadline)
    node = Node(question="q", seed=1, path=(0,) if begun else (), tree=tree)
    return Waiter(node, None, (), granted=None)  # type: ignore[arg-type]


def order(turns: Turns) -> list[Waiter]:
    taken = []
    while (one := turns.pop()) is not None:
        taken.append(one)
    return taken


def test_deadlines_come_first_then_trees_under_way_then_the_tree_begun_first() -> None:
    late, soon = waiter(number=1, deadline=20.0), waiter(number=9, deadline=10.0)
    new, older, begun = waiter(number=5), waiter(number=4), waiter(number=8, begun=True)
    turns = Turns()
    for one in (new, begun, late, older, soon):
        turns.push(one)
    assert order(turns) == [soon, late, begun, older, new]


def test_equals_keep_their_order() -> None:
    turns, waiters = Turns(), [waiter() for _ in range(20)]
    for one in waiters:
        turns.push(one)
    assert order(turns) == waiters


def test_runs_take_turns_however_many_trees_each_has() -> None:
    turns = Turns()
    for i in range(100):
        turns.push(waiter("many", i))
    for i in range(3):
        turns.push(waiter("few", i))
    assert [one.tree.run for one in order(turns)][:6].count("few") == 3


def test_a_run_that_comes_late_does_not_catch_up() -> None:
    served = Served()
    turns = Turns(served)
    for i in range(100):
        turns.push(waiter("first", i))
    for _ in range(50):
        turns.pop()
    for i in range(50):
        turns.push(waiter("second", i))
    assert [one.tree.run for one in order(turns)][:20].count("second") == 10


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 5)), max_size=40), st.data())
def test_who_gave_up_is_passed_over_and_all_others_have_their_turn(
    asked: list[tuple[str, int]], data: st.DataObject
) -> None:
    turns = Turns()
    waiters = [waiter(run, number) for run, number in asked]
    for one in waiters:
        turns.push(one)
    leaving = [one for one in waiters if data.draw(st.booleans())]
    for one in leaving:
        turns.gave_up(one)
    stay = [one for one in waiters if one not in leaving]
    assert len(turns) == len(stay)
    assert sorted(map(id, order(turns))) == sorted(map(id, stay))
    assert not turns


def test_what_is_drained_waits_here_no_longer() -> None:
    turns, waiters = Turns(), [waiter(number=i) for i in range(4)]
    for one in waiters:
        turns.push(one)
    turns.pop()
    assert set(turns.drain()) == set(waiters[1:])
    assert (len(turns), turns.pop()) == (0, None)
