"""How the samples of a tree are counted, and what becomes of those that are no answers."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.core.budget import Price, Spend
from orchestrator.core.node import Finish, Node, Tree, root, sharing
from orchestrator.core.ports import Sampling
from orchestrator.core.problem import Problem
from orchestrator.errors import BadResponse, EndpointError, EndpointUnavailable
from orchestrator.runs.ports.branches import Branches
from orchestrator.runs.ports.charges import policy_spend
from orchestrator.runs.ports.journal_format import unpacked_samples
from orchestrator.runs.ports.recording import Recorder
from orchestrator.runs.ports.replay import JournaledPolicy, JournaledPRM, Remembering
from orchestrator.storage.journal import JOURNAL, Journal
from orchestrator.testing.fakes import FakePolicy, FakePRM, chains
from tests.unit.orchestrator.conftest import BoxTask

ROOT = root("What is 1 + 1?", seed=1, problem_id="p", tree=Tree(key="tree"))
WHOLE = Sampling(temperature=0.7, until="end")
LOST = BadResponse("http://host broke off an answer", url="")


class Scripted:
    """A policy whose samples end as it says; None is one that is missing."""

    def __init__(self, *finishes: Finish | None, text: str = "so 12", model: str | None = None):
        self.finishes, self.text, self.model = finishes, text, model
        self.asked = 0

    async def extend(self, node: Node, n: int, sampling: Sampling) -> list[Node]:
        self.asked += 1
        return [
            node.child(i, (self.text,), finish=finish, step_tokens=3, model=self.model)
            for i, finish in enumerate(self.finishes[:n])
            if finish is not None
        ]


class Failing:
    def __init__(self, failure: EndpointError = LOST) -> None:
        self.failure = failure

    async def extend(self, node: Node, n: int, sampling: Sampling) -> list[Node]:
        raise self.failure

    async def score(self, nodes: Sequence[Node]) -> list[Node]:
        raise self.failure


async def test_every_sample_is_counted_by_its_end_whether_or_not_it_becomes_a_leaf() -> None:
    recorder = Recorder(Scripted("stop", "length", "empty", None, "filtered", "length"), FakePRM())
    await recorder.extend(ROOT, 6, WHOLE)
    await recorder.extend(ROOT, 1, WHOLE)
    assert recorder.ends.samples == 7
    assert recorder.ends.counted([]) == {"length": 2, "empty": 1, "filtered": 1, "unanswered": 1}


@pytest.mark.parametrize("finish", ["overflow", "filtered", "refused"])
async def test_a_prompt_that_is_not_taken_ends_all_the_samples_it_was_asked_for(
    finish: Finish,
) -> None:
    class Refusing:
        async def extend(self, node: Node, n: int, sampling: Sampling) -> list[Node]:
            return [node.child(0, (), finish=finish)]

    branches = Branches(recorder := Recorder(Refusing(), FakePRM()), recorder, "drop")
    await branches.extend(ROOT, 4, WHOLE)
    assert (recorder.ends.samples, recorder.ends.counted([])) == (4, {finish: 4})
    assert branches.failed == 0


async def test_requests_that_fail_lose_all_their_samples_and_scores() -> None:
    recorder = Recorder(Failing(), Failing())
    branches = Branches(recorder, recorder, "drop")
    assert await branches.extend(ROOT, 4, WHOLE) == []
    assert await branches.score([ROOT, ROOT]) == []
    assert recorder.ends.counted([]) == {"unanswered": 4, "unscored": 2}
    gone = Recorder(Failing(EndpointUnavailable("gone", url="")), FakePRM())
    with pytest.raises(EndpointUnavailable):
        await gone.extend(ROOT, 3, WHOLE)
    assert gone.ends.counted([]) == {"failed": 3}


async def test_what_is_too_long_for_the_prm_and_dead_ends_are_counted() -> None:
    recorder = Recorder(FakePolicy(), FakePRM(context=2))
    children = await recorder.extend(ROOT, 3, replace(WHOLE, until="step"))
    scored = await recorder.score(children)
    assert {node.finish for node in scored} == {"overflow"}
    leaves = [ROOT.ended("dead_end"), *scored]
    assert recorder.ends.counted(leaves) == {"overflow": 3, "dead_end": 1}


class Unable:
    """A PRM that cannot score the texts of ``spoilt``, having read ``tokens`` for nothing."""

    def __init__(self, *spoilt: str, tokens: int = 0) -> None:
        self.spoilt, self.tokens = spoilt, tokens
        self.asked: list[str] = []

    async def score(self, nodes: Sequence[Node]) -> list[Node]:
        self.asked += [node.text for node in nodes]
        return [
            replace(node.scored((0.0,), self.tokens), unscored=True)
            if node.text in self.spoilt
            else node.scored((0.5,), 9)
            for node in nodes
        ]


async def test_steps_that_cannot_be_scored_are_counted() -> None:
    recorder = Recorder(FakePolicy(), Unable("b"))
    await recorder.score([ROOT.child(i, (text,)) for i, text in enumerate("abc")])
    assert recorder.ends.counted([]) == {"unscored": 1}


@pytest.mark.parametrize(("tokens", "again"), [(0, ["b"]), (7, [])])
async def test_what_could_not_be_scored_is_asked_for_again_unless_it_was_paid_for(
    tmp_path: Path, tokens: int, again: list[str]
) -> None:
    nodes = [ROOT.child(i, (text,)) for i, text in enumerate("abc")]
    found = []
    for prm in (first := Unable("b", tokens=tokens), second := Unable("b", tokens=tokens)):
        with Journal(tmp_path / JOURNAL) as journal:
            found.append(await JournaledPRM(prm, "m", remembering(journal)).score(nodes))
    assert (first.asked, second.asked) == (["a", "b", "c"], again)
    assert found[0] == found[1]
    assert [[node.unscored for node in each] for each in found] == [[False, True, False]] * 2


@pytest.mark.parametrize("finish", ["filtered", "refused"])
async def test_what_its_prm_does_not_take_is_counted(finish: Finish) -> None:
    class Picky:
        async def score(self, nodes: Sequence[Node]) -> list[Node]:
            return [nodes[0].ended(finish), *nodes[1:]]

    recorder = Recorder(Scripted("stop", finish), Picky())
    await recorder.score(await recorder.extend(ROOT, 2, WHOLE))
    assert recorder.ends.counted([]) == {finish: 2}


async def test_samples_of_another_model_are_counted_by_its_name() -> None:
    recorder = Recorder(Scripted("stop", "stop", model="gpt-4o-mini"), FakePRM())
    await recorder.extend(ROOT, 2, WHOLE)
    assert recorder.ends.models == {"gpt-4o-mini": 2}


async def test_a_missing_sample_is_a_failed_branch_and_ends_the_tree_under_fail() -> None:
    dropping = Branches(Scripted("stop", None, "stop"), FakePRM(), "drop")
    assert [child.path for child in await dropping.extend(ROOT, 3, WHOLE)] == [(0,), (2,)]
    assert dropping.failed == 1
    with pytest.raises(BadResponse, match="1 of 3 samples came to no answer"):
        await Branches(Scripted("stop", None, "stop"), FakePRM(), "fail").extend(ROOT, 3, WHOLE)


def remembering(journal: Journal) -> Remembering:
    return Remembering(journal, Spend())


async def test_what_was_missing_is_asked_for_again_and_what_was_there_is_replayed(
    tmp_path: Path,
) -> None:
    first = Scripted("stop", None, "stop", text="old")
    with Journal(tmp_path / JOURNAL) as journal:
        await JournaledPolicy(first, "m", remembering(journal)).extend(ROOT, 3, WHOLE)
    mended = Scripted("stop", "stop", "stop", text="new")
    with Journal(tmp_path / JOURNAL) as journal:
        children = await JournaledPolicy(mended, "m", remembering(journal)).extend(ROOT, 3, WHOLE)
    assert [child.text for child in children] == ["old", "new", "old"]
    third = Scripted("stop", "stop", "stop", text="newer")
    with Journal(tmp_path / JOURNAL) as journal:
        again = await JournaledPolicy(third, "m", remembering(journal)).extend(ROOT, 3, WHOLE)
    assert (again, third.asked) == (children, 0)


async def test_what_was_billed_in_vain_is_remembered_as_paid(tmp_path: Path) -> None:
    price = Price(input=1e6, output=1e6)
    failure = BadResponse("broken off", url="")
    failure.prompt_tokens, failure.written_tokens = 5, 7

    class Wasteful(Scripted):
        async def extend(self, node: Node, n: int, sampling: Sampling) -> list[Node]:
            children = await super().extend(node, n, sampling)
            return sharing(children, prompt_tokens=4, cached_tokens=1, written_tokens=20)

    found = []
    for policy in (Failing(failure), Wasteful("stop", None, "stop"), Wasteful(*["stop"] * 3)):
        with Journal(tmp_path / JOURNAL) as journal, suppress(BadResponse):
            journaled = JournaledPolicy(policy, "m", remembering(journal), price)
            found.append(policy_spend(await journaled.extend(ROOT, 3, WHOLE)))
    assert [(each.prompt_tokens, each.policy_tokens) for each in found] == [(4, 20), (8, 40)]
    with Journal(tmp_path / JOURNAL) as journal:
        assert journal.paid == 5 + 7 + 2 * (4 + 20)
        again = await JournaledPolicy(Failing(), "m", remembering(journal)).extend(ROOT, 3, WHOLE)
    assert policy_spend(again) == found[-1]


async def test_while_the_server_stays_broken_what_was_there_is_not_lost(tmp_path: Path) -> None:
    tries: list[Any] = [
        Scripted("stop", None, None, text="a"), Failing(), Scripted(None, "stop", None, text="b"),
        Failing(),
    ]  # fmt: skip
    found = []
    for policy in tries:
        with Journal(tmp_path / JOURNAL) as journal:
            journaled = JournaledPolicy(policy, "m", remembering(journal))
            found.append([child.text for child in await journaled.extend(ROOT, 3, WHOLE)])
    assert found == [["a"], ["a"], ["a", "b"], ["a", "b"]]


async def test_the_journal_keeps_which_model_answered(tmp_path: Path) -> None:
    for _ in range(2):
        with Journal(tmp_path / JOURNAL) as journal:
            policy = JournaledPolicy(Scripted("stop", model="other"), "m", remembering(journal))
            (child,) = await policy.extend(ROOT, 1, WHOLE)
        assert child.model == "other"


def test_a_response_from_before_models_were_kept_is_read() -> None:
    (child,) = unpacked_samples(ROOT, b'[[[[0,["a"],"stop",null,1]],5,0]]')
    assert (child.text, child.model) == ("a", None)


async def test_the_record_says_how_many_samples_there_were_and_how_they_ended(
    make_cell: Any, make_ports: Any, make_problems: Any, run_one_tree: Any
) -> None:
    policy = Scripted("stop", "length", None, "refused", text=r"\boxed{1}", model="mini")
    record = await run_one_tree(
        make_problems(1)[0], make_cell("majority", n=4), make_ports(), policy=policy,
    )  # fmt: skip
    assert (record.samples, record.failed_branches) == (5, 1)  # one more for the lost one
    assert record.ends == {"length": 1, "unanswered": 1, "refused": 1}
    assert record.other_models == {"mini": 4}


async def test_the_last_number_of_a_text_that_was_cut_is_no_answer(
    make_cell: Any, make_ports: Any, make_problems: Any, run_one_tree: Any
) -> None:
    class LastWord(BoxTask):
        async def extract(self, problem: Problem, text: str) -> str | None:
            return text.split()[-1] if text else None

    ports = replace(make_ports(), task=LastWord())
    found = []
    for text, finish in [
        ("so 12", "length"), ("so 12", "stop"), (r"\boxed{ 7 }, 12", "length"),
        ("<think>3?</think> so 12", "stop"), (r"<think>\boxed{ 3", "length"),
    ]:  # fmt: skip
        record = await run_one_tree(
            make_problems(1)[0], make_cell("cot"), ports, policy=Scripted(finish, text=text),
        )  # fmt: skip
        found.append(record.leaves[0].answer)
    assert found == [None, "12", "12", "12", None]


async def test_a_search_whose_root_is_only_cut_answers_with_what_stands_in_a_box(
    make_cell: Any, make_ports: Any, make_problems: Any, run_one_tree: Any
) -> None:
    policy = FakePolicy(script=lambda node, index: rf"so \boxed{{{index}}} and then on and on")
    record = await run_one_tree(
        make_problems(1)[0], make_cell("beam_search", n=4, width=2, max_tokens=3), make_ports(),
        policy=policy, prm=FakePRM(),
    )  # fmt: skip
    assert [leaf.finish for leaf in record.leaves] == ["length", "length"]
    assert all(leaf.answer is not None and leaf.scores for leaf in record.leaves)
    assert len(policy.requests) == 2 and record.ends == {"length": 8}


async def test_searches_count_what_they_threw_away(
    make_cell: Any, make_ports: Any, make_problems: Any, run_one_tree: Any
) -> None:
    record = await run_one_tree(
        make_problems(1)[0], make_cell("beam_search", n=4, width=2, max_tokens=2), make_ports(),
        policy=FakePolicy(script=chains(depth=3)), prm=FakePRM(),
    )  # fmt: skip
    assert record.samples >= 4 and record.ends["length"] == record.samples
