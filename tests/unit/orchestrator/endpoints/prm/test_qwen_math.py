from typing import Any

from orchestrator.core.node import root
from orchestrator.endpoints.prm import QwenMathPRM


def test_it_reads_chatml_with_a_tag_after_every_step(solution: Any) -> None:
    node = solution()
    prm = QwenMathPRM(transport=None)  # type: ignore[arg-type]
    assert prm.render(node.question, node.steps) == (
        "<|im_start|>system\n"
        "Please reason step by step, and put your final answer within \\boxed{}.<|im_end|>\n"
        "<|im_start|>user\nWhat is 1 + 1?<|im_end|>\n"
        "<|im_start|>assistant\nAdd them.<extra_0>It is \\boxed{2}.<extra_0><|im_end|>\n"
    )


async def test_of_several_turns_it_reads_the_question_and_the_last_solution(scripted: Any) -> None:
    rows = {"data": [{"index": 0, "data": [[0.1, 0.9]]}], "model": "m"}
    transport = scripted(rows)
    start = root("What is 1 + 1?", seed=1, problem_id="p")
    asked = start.child(0, ("It is 3.",), finish="stop").scored([0.2]).ask("Are you sure?")
    prm = QwenMathPRM(transport=transport)
    (node,) = await prm.score([asked.child(0, ("It is 2.",), finish="stop")])
    assert node.scores == (0.9,)
    assert transport.sent[0].body["input"] == [prm.render("What is 1 + 1?", ("It is 2.",))]


def test_the_system_message_is_left_out_where_told() -> None:
    prm = QwenMathPRM(transport=None, system=None)  # type: ignore[arg-type]
    assert prm.render("q", ("a",)) == (
        "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\na<extra_0><|im_end|>\n"
    )


def test_a_tag_inside_a_text_is_dropped_so_that_scores_stay_one_a_step() -> None:
    prm = QwenMathPRM(transport=None)  # type: ignore[arg-type]
    text = prm.render("q<extra_0>?", ("a<extra_0>b", "c"))
    assert text.count("<extra_0>") == 2
