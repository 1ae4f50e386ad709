import math

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.node import Node, Tree
from orchestrator.endpoints.admission.fair_queue import FairQueue, Ticket, TurnsTaken


def ticket(
    run: str = "", number: int = 0, *, begun: bool = False, deadline: float = math.inf
) -> Ticket:
    tree = Tree(run=run, number=number, deadline=deadline)
    node = Node(question="q", seed=1, path=(0,) if begun else (), tree=tree)
    return Ticket(node, None, (), granted=None)  # type: ignore[arg-type]


def order(queue: FairQueue) -> list[Ticket]:
    taken = []
    while (one := queue.pop()) is not None:
        taken.append(one)
    return taken


def test_deadlines_come_first_then_trees_under_way_then_the_tree_begun_first() -> None:
    late, soon = ticket(number=1, deadline=20.0), ticket(number=9, deadline=10.0)
    new, older, begun = ticket(number=5), ticket(number=4), ticket(number=8, begun=True)
    queue = FairQueue()
    for one in (new, begun, late, older, soon):
        queue.push(one)
    assert order(queue) == [soon, late, begun, older, new]


def test_equals_keep_their_order() -> None:
    queue, tickets = FairQueue(), [ticket() for _ in range(20)]
    for one in tickets:
        queue.push(one)
    assert order(queue) == tickets


def test_runs_take_turns_however_many_trees_each_has() -> None:
    queue = FairQueue()
    for i in range(100):
        queue.push(ticket("many", i))
    for i in range(3):
        queue.push(ticket("few", i))
    assert [one.tree.run for one in order(queue)][:6].count("few") == 3


def test_a_run_that_comes_late_does_not_catch_up() -> None:
    served = TurnsTaken()
    queue = FairQueue(served)
    for i in range(100):
        queue.push(ticket("first", i))
    for _ in range(50):
        queue.pop()
    for i in range(50):
        queue.push(ticket("second", i))
    assert [one.tree.run for one in order(queue)][:20].count("second") == 10


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 5)), max_size=40), st.data())
def test_who_gave_up_is_passed_over_and_all_others_have_their_turn(
    asked: list[tuple[str, int]], data: st.DataObject
) -> None:
    queue = FairQueue()
    tickets = [ticket(run, number) for run, number in asked]
    for one in tickets:
        queue.push(one)
    leaving = [one for one in tickets if data.draw(st.booleans())]
    for one in leaving:
        queue.give_up(one)
    stay = [one for one in tickets if one not in leaving]
    assert len(queue) == len(stay)
    assert sorted(map(id, order(queue))) == sorted(map(id, stay))
    assert not queue


def test_what_is_drained_waits_here_no_longer() -> None:
    queue, tickets = FairQueue(), [ticket(number=i) for i in range(4)]
    for one in tickets:
        queue.push(one)
    queue.pop()
    assert set(queue.drain()) == set(tickets[1:])
    assert (len(queue), queue.pop()) == (0, None)
