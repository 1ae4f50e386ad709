"""A step that cannot be scored loses its own score and no other: in every family."""

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.core.node import root
from orchestrator.core.ports import Models
from orchestrator.endpoints.prm import (
    GenPRM,
    HttpPRM,
    JudgePRM,
    MathShepherdPRM,
    OutcomePRM,
    QwenMathPRM,
    SkyworkPRM,
    ThinkPRM,
)
from orchestrator.errors import BadResponse, ContentFiltered
from orchestrator.strategies import BeamSearch
from orchestrator.testing.fakes import SEPARATOR, FakePolicy

TAGGED = ["a <extra_0> b", "<extra<extra_0>_0>", "<ex<extra<extra_0>_0>tra_0>", "x\n<extra_0>\n\n"]


def pairs(*scores: float) -> list[list[float]]:
    return [[1 - score, score] for score in scores]


@pytest.mark.parametrize("step", TAGGED)
async def test_a_step_that_spells_the_tag_scores_nothing_and_its_siblings_as_ever(
    scripted: Any, answers: Any, solution: Any, step: str
) -> None:
    transport = scripted(answers.pooling(pairs(0.9, 0.8), pairs(0.9, 0.7), tokens=20))
    prm = QwenMathPRM(transport=transport)
    siblings = [("a", "b"), ("a", step), ("a", "c")]
    nodes = [solution(steps, index=i, scores=(0.9,)) for i, steps in enumerate(siblings)]
    scored = await prm.score(nodes)
    assert [node.scores for node in scored] == [(0.9, 0.8), (0.9, 0.0), (0.9, 0.7)]
    assert [node.unscored for node in scored] == [False, True, False]
    assert [(node.path, node.steps) for node in scored] == [(n.path, n.steps) for n in nodes]
    (sent,) = transport.sent
    assert len(sent.body["input"]) == 2


@pytest.mark.parametrize("step", TAGGED)
async def test_the_steps_before_it_keep_their_scores_and_those_after_it_have_none(
    scripted: Any, answers: Any, solution: Any, step: str
) -> None:
    transport = scripted(answers.pooling(pairs(0.9, 0.8), pairs(0.6)))
    whole, other = solution(("a", "b", step, "c")), solution(("d",), index=1)
    scored = await QwenMathPRM(transport=transport).score([whole, other])
    assert [node.scores for node in scored] == [(0.9, 0.8, 0.0, 0.0), (0.6,)]


async def test_what_goes_on_from_it_is_not_sent(scripted: Any, answers: Any, solution: Any) -> None:
    transport = scripted()
    (node,) = await QwenMathPRM(transport=transport).score([solution(("a<extra_0>",))])
    (child,) = await QwenMathPRM(transport=transport).score([node.child(0, ("b",))])
    assert (node.scores, child.scores, transport.sent) == ((0.0,), (0.0, 0.0), [])


@pytest.mark.parametrize("text", TAGGED)
def test_a_question_that_spells_the_tag_costs_no_step_its_score(text: str) -> None:
    prm = QwenMathPRM(transport=None)  # type: ignore[arg-type]
    assert prm.render(text, ("a", "b")).count("<extra_0>") == 2


async def test_a_sibling_that_is_scored_wrongly_each_time_is_asked_alone_and_loses_its_score(
    scripted: Any, answers: Any, solution: Any
) -> None:
    transport = scripted(
        answers.pooling(pairs(0.9, 0.8), pairs(0.9, 0.1, 0.1), pairs(0.9, 0.7)),
        *[answers.pooling(pairs(0.9, 0.1, 0.1))] * 3,
    )
    prm = QwenMathPRM(transport=transport)
    scored = await prm.score([solution(("a", text), index=i) for i, text in enumerate("bcd")])
    assert [node.scores for node in scored] == [(0.9, 0.8), (0.0, 0.0), (0.9, 0.7)]
    assert [node.unscored for node in scored] == [False, True, False]
    assert [len(sent.body["input"]) for sent in transport.sent] == [3, 1, 1, 1]


async def test_a_sibling_that_was_scored_wrongly_once_keeps_what_it_gets_then(
    scripted: Any, answers: Any, solution: Any
) -> None:
    transport = scripted(
        answers.pooling(pairs(0.9, 0.8), pairs(0.9)), answers.pooling(pairs(0.9, 0.7))
    )
    prm = QwenMathPRM(transport=transport)
    scored = await prm.score([solution(("a", text), index=i) for i, text in enumerate("bc")])
    assert [node.scores for node in scored] == [(0.9, 0.8), (0.9, 0.7)]


async def test_token_scores_of_one_sibling_that_cannot_be_are_its_own_loss(
    scripted: Any, answers: Any, solution: Any
) -> None:
    tokens = [answers.tokenize(*ids) for ids in ((1, 2), (9,), (5,), (6,))]
    rows = answers.pooling([[0.5]] * 4, [[0.5], [0.5], [0.5], [7.0]])
    transport = scripted(*tokens, rows, *[answers.pooling([[0.5]] * 3 + [[7.0]])] * 3)
    scored = await SkyworkPRM(transport=transport).score(
        [solution((text,), index=i) for i, text in enumerate("ab")]
    )
    assert [node.scores for node in scored] == [(0.5,), (0.0,)]


GOOD = {
    JudgePRM: "Verdicts: correct",
    ThinkPRM: r"Step 1: \boxed{correct}",
    GenPRM: r"\boxed{Yes}",
}


@pytest.mark.parametrize("family", GOOD)
async def test_a_verification_without_a_verdict_costs_no_sibling_its_own(
    scripted: Any, answers: Any, solution: Any, family: Callable[..., HttpPRM]
) -> None:
    good = GOOD[family]  # type: ignore[index]
    transport = scripted(answers.chat(good), answers.chat("no idea"), answers.chat(good))
    nodes = [solution((text,), index=i) for i, text in enumerate("abc")]
    scored = await family(transport=transport).score(nodes)
    assert [node.scores for node in scored] == [(1.0,), (0.0,), (1.0,)]
    assert len(transport.sent) == 3


async def test_what_a_filter_stops_ends_alone(scripted: Any, answers: Any, solution: Any) -> None:
    good = answers.chat("Verdicts: correct")
    transport = scripted(good, ContentFiltered("no", url=""), good)
    nodes = [solution((text,), index=i) for i, text in enumerate("abc")]
    scored = await JudgePRM(transport=transport).score(nodes)
    assert [node.scores for node in scored] == [(1.0,), (), (1.0,)]
    assert [node.finish for node in scored] == [None, "filtered", None]
    assert len(transport.sent) == 3


async def test_a_verdict_that_is_no_number_costs_no_sibling_its_own(
    scripted: Any, answers: Any, solution: Any
) -> None:
    def verdict(plus: float | None) -> Any:
        return answers.next_token({"token_id:1": plus, "token_id:2": -0.7})

    labels = [answers.tokenize(1), answers.tokenize(2)]
    transport = scripted(*labels, verdict(-0.7), *[verdict(None)] * 3)
    prm = MathShepherdPRM(transport=transport, route="prefix")
    scored = await prm.score([solution((text,), index=i) for i, text in enumerate("ab")])
    assert [node.scores for node in scored] == [(0.5,), (0.0,)]


@pytest.mark.parametrize("template", [None, "{question} {answer}"])
async def test_an_outcome_that_cannot_be_read_costs_no_sibling_its_own(
    scripted: Any, answers: Any, solution: Any, template: str | None
) -> None:
    good, bad = [0.7], [0.7, 0.1]
    first = [answers.pooling(good)] if template is None else [answers.pooling(good, bad)]
    transport = scripted(*first, *[answers.pooling(bad)] * 3)
    scored = await OutcomePRM(transport=transport, template=template).score(
        [solution((text,), index=i) for i, text in enumerate("ab")]
    )
    assert [node.scores for node in scored] == [(0.7,), (0.0,)]


async def test_where_no_sibling_can_be_scored_it_is_not_their_fault(
    scripted: Any, answers: Any, solution: Any
) -> None:
    transport = scripted(*[answers.chat("no idea")] * 2)
    with pytest.raises(BadResponse, match="never with a verdict"):
        await JudgePRM(transport=transport).score([solution(("a",)), solution(("b",), index=1)])
    transport = scripted(*[answers.pooling(pairs(0.5, 0.5), pairs(0.5, 0.5))] * 3)
    with pytest.raises(BadResponse, match="scored 2 steps of 1"):
        await QwenMathPRM(transport=transport).score([solution(("a",)), solution(("b",), index=1)])


async def test_a_tree_of_sixteen_goes_on_where_one_of_its_steps_spells_the_tag(
    scripted: Any, answers: Any
) -> None:
    def script(node: Any, index: int) -> str:
        if node.steps:
            return rf"\boxed{{{index}}}"
        return "<extra<extra_0>_0>" + SEPARATOR if index == 7 else f"step {index}{SEPARATOR}"

    first = [pairs(0.9 - i / 100) for i in range(15)]
    second = [pairs(0.9, 0.8 - i / 100) for i in range(4)]
    transport = scripted(answers.pooling(*first), *[answers.pooling(*second)] * 4)
    start = root("q", seed=1, problem_id="p")
    leaves = await BeamSearch(n=16)(
        start, Models(FakePolicy(script=script), QwenMathPRM(transport=transport))
    )
    assert len(leaves) == 4 and all(leaf.scores[0] > 0.8 for leaf in leaves)
