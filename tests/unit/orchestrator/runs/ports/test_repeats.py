"""Texts that a tree draws more than once."""

from orchestrator.core.node import FORKS, Node, root
from orchestrator.runs.ports.repeats import OncePRM
from orchestrator.testing.fakes import FakePRM

ROOT = root("What is 1 + 1?", seed=1, problem_id="p")


def solution(batch: int, index: int, text: str) -> Node:
    origin = ROOT.fork(batch) if batch else ROOT
    return origin.child(index, (text,), finish="stop", step_tokens=3)


async def test_a_text_of_an_earlier_batch_is_not_scored_again() -> None:
    asked = FakePRM()
    prm = OncePRM(asked)
    first = await prm.score([solution(0, 0, "two"), solution(0, 1, "three")])
    second = await prm.score([solution(4, 0, "three"), solution(4, 1, "four")])
    assert [[node.text for node in request] for request in asked.requests] == [
        ["two", "three"],
        ["four"],
    ]
    assert second[0].scores == first[1].scores
    assert (second[0].path, second[0].prm_tokens) == ((FORKS + 4, 0), 0)
    assert second[1].prm_tokens > 0


async def test_a_text_that_answers_a_further_question_is_scored_by_itself() -> None:
    asked = FakePRM()
    prm = OncePRM(asked)
    await prm.score([solution(0, 0, "two")])
    await prm.score([ROOT.ask("Add them up.").child(0, ("two",), finish="stop")])
    assert len(asked.requests) == 2


async def test_a_request_that_holds_nothing_new_is_not_sent() -> None:
    asked = FakePRM()
    prm = OncePRM(asked)
    await prm.score([solution(0, 0, "two")])
    (again,) = await prm.score([solution(4, 0, "two")])
    assert (len(asked.requests), len(again.scores)) == (1, 1)


async def test_equal_texts_of_subtrees_that_grow_side_by_side_are_scored_where_they_grow() -> None:
    """Which of them came first would be chance."""
    asked = FakePRM()
    prm = OncePRM(asked)
    await prm.score([solution(0, 0, "two")])
    for tree in (0, 1):
        leaf = ROOT.fork(8).fork(tree).child(0, ("two",), finish="stop", step_tokens=3)
        (scored,) = await prm.score([leaf])
        assert scored.prm_tokens > 0
    assert len(asked.requests) == 3


async def test_a_text_that_could_not_be_scored_is_asked_for_again() -> None:
    asked = FakePRM(context=1)
    prm = OncePRM(asked)
    for batch in (0, 4):
        (judged,) = await prm.score([solution(batch, 0, "two words")])
        assert (judged.finish, judged.scores) == ("overflow", ())
    assert len(asked.requests) == 2


async def test_open_paths_are_scored_wherever_they_are() -> None:
    asked = FakePRM()
    prm = OncePRM(asked)
    step = ROOT.child(0, ("a step\n\n",))
    await prm.score([step])
    await prm.score([ROOT.fork(1).child(0, ("a step\n\n",))])
    assert len(asked.requests) == 2
