from typing import Any

import pytest

from orchestrator.endpoints.prm import GenPRM
from orchestrator.endpoints.prm.genprm import judgement

SYSTEM = (
    "You are a math teacher. Your task is to review and critique the paragraphs in solution step "
    "by step."
)
YES = "It adds up.\n</analyze>\n<output>\n**Judgement**: $\\boxed{Yes}$\n"
NO = YES.replace("Yes", "No")
OPENING = "<analyze>\nLet's analyze the Paragraph {} step by step: "


async def test_a_paragraph_is_judged_after_the_critiques_of_those_before(
    scripted: Any, answers: Any, solution: Any
) -> None:
    transport = scripted(answers.chat(YES), answers.chat(NO))
    (node,) = await GenPRM(transport=transport).score([solution()])
    assert node.scores == (1.0, 0.0)
    first, second = (sent.body for sent in transport.sent)
    asked = {"role": "user", "content": "Question: What is 1 + 1?\n\nAdd them."}
    assert first["messages"] == [
        {"role": "system", "content": SYSTEM},
        asked,
        {"role": "assistant", "content": OPENING.format(1)},
    ]
    assert second["messages"][1:] == [
        asked,
        {"role": "assistant", "content": OPENING.format(1) + YES + "</output>\n"},
        {"role": "user", "content": r"It is \boxed{2}."},
        {"role": "assistant", "content": OPENING.format(2)},
    ]
    for body in (first, second):
        assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)
        assert body["stop"] == ["</output>"]


async def test_a_child_pays_for_its_own_step_only(
    scripted: Any, answers: Any, solution: Any
) -> None:
    transport = scripted(answers.chat(YES), answers.chat(NO, tokens=9, written=4))
    prm = GenPRM(transport=transport)
    (node,) = await prm.score([solution(("a",))])
    (node,) = await prm.score([node.child(0, ("b",))])
    assert (node.scores, node.prm_tokens) == ((1.0, 0.0), 13)


async def test_critiques_that_were_forgotten_are_written_anew_and_scores_kept(
    scripted: Any, answers: Any, solution: Any
) -> None:
    transport = scripted(answers.chat(NO), answers.chat(YES))
    (node,) = await GenPRM(transport=transport).score([solution(scores=(0.75,))])
    assert node.scores == (0.75, 1.0)


async def test_the_share_of_samples_that_say_yes_is_the_score(
    scripted: Any, answers: Any, solution: Any
) -> None:
    transport = scripted(answers.chat("hm", NO, YES, NO))
    (node,) = await GenPRM(transport=transport, samples=4).score([solution(("a",))])
    assert node.scores == (pytest.approx(1 / 3),)
    assert (transport.sent[0].body["n"], transport.sent[0].body["temperature"]) == (4, 0.6)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("$\\boxed{Yes}$", True),
        ("$\\boxed{No}$", False),
        ("\\boxed{\\text{yes}}", True),
        ("\\boxed{No} at first, then \\boxed{Yes}", True),
        ("the answer \\boxed{2} is right", None),
        ("yes", None),
    ],
)
def test_the_last_judgement_counts(text: str, found: bool | None) -> None:
    assert judgement(text) == found


async def test_each_critique_is_paid_for_and_the_first_other_model_named(
    scripted: Any, answers: Any, solution: Any
) -> None:
    transport = scripted(
        answers.chat(YES, tokens=9, written=4, cached=2) | {"model": "another"},
        answers.chat(NO, tokens=20, written=5, cached=3) | {"model": "m"},
        checks_model=False,
    )
    (node,) = await GenPRM(transport=transport).score([solution()])
    assert (node.prm_tokens, node.prm_cached_tokens, node.prm_written_tokens) == (38, 5, 9)
    assert node.prm_model == "another"


async def test_a_critique_without_a_judgement_is_no_part_of_the_conversation(
    scripted: Any, answers: Any, solution: Any
) -> None:
    transport = scripted(answers.chat("hm", NO, YES), answers.chat(YES, YES, YES))
    (node,) = await GenPRM(transport=transport, samples=3).score([solution()])
    assert node.scores == (0.5, 1.0)
    told = transport.sent[1].body["messages"][2]["content"]
    assert told == OPENING.format(1) + NO + "</output>\n"
