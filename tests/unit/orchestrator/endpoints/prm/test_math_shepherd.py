from typing import Any

from orchestrator.endpoints.prm import MathShepherdPRM
from orchestrator.endpoints.prm.math_shepherd import TAG

PRM = MathShepherdPRM(transport=None, route="prefix")  # type: ignore[arg-type]


def test_it_reads_steps_that_end_with_its_tag(solution: Any) -> None:
    node = solution()
    assert PRM.render(node.question, node.steps) == (
        "What is 1 + 1? Add them. ки\nIt is \\boxed{2}. ки\n"
    )


def test_a_prefix_ends_with_the_tag_the_verdict_follows(solution: Any) -> None:
    node = solution()
    assert PRM.prefix(node.question, node.steps[:1]) == "What is 1 + 1? Add them. ки"
    assert PRM.render(node.question, node.steps).startswith(
        PRM.prefix(node.question, node.steps[:1])
    )


def test_a_tag_inside_a_text_becomes_a_lookalike_so_that_scores_stay_one_a_step() -> None:
    text = PRM.render("Сколько урожайки?", ("кирпичи ки", "ки"))
    assert text.count(TAG) == 2
    assert text.replace("k", "к").count(TAG) == 6
