from typing import Any

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


def test_the_system_message_is_left_out_where_told() -> None:
    prm = QwenMathPRM(transport=None, system=None)  # type: ignore[arg-type]
    assert prm.render("q", ("a",)) == (
        "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\na<extra_0><|im_end|>\n"
    )


def test_a_tag_inside_a_text_is_dropped_so_that_scores_stay_one_a_step() -> None:
    prm = QwenMathPRM(transport=None)  # type: ignore[arg-type]
    text = prm.render("q<extra_0>?", ("a<extra_0>b", "c"))
    assert text.count("<extra_0>") == 2
