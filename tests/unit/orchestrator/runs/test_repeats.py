"""Texts that a tree draws more than once."""

from orchestrator.core.tree import FORKS, Node, root
from orchestrator.endpoints.fake import FakePRM
from orchestrator.runs.repeats import OncePRM

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


async def test_a_request_that_holds_nothing_new_is_not_sent() -> None:
    asked = FakePRM()
    prm = OncePRM(asked)
    await prm.score([solution(0, 0, "two")])
    (again,) = await prm.score([solution(4, 0, "two")])
    assert (len(asked.requests), len(again.scores)) == (1, 1)


async def test_open_paths_are_scored_wherever_they_are() -> None:
    asked = FakePRM()
    prm = OncePRM(asked)
    step = ROOT.child(0, ("a step\n\n",))
    await prm.score([step])
    await prm.score([ROOT.fork(1).child(0, ("a step\n\n",))])
    assert len(asked.requests) == 2
