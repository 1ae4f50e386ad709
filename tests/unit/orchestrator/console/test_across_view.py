"""What is printed of a profile across models."""

from io import StringIO
from pathlib import Path

import msgspec
from rich.console import Console

from orchestrator.console.across_view import across_report
from orchestrator.optimal.cascade.profile import AcrossProfile
from tests.unit.orchestrator.optimal.small_across import came, small_across


def text_of(run: Path | None, profile: AcrossProfile | None = None) -> str:
    out = StringIO()
    Console(file=out, width=200).print(across_report(profile or small_across(), run))
    return out.getvalue()


def test_the_table_says_which_models_answer_how_at_which_accuracy_and_use() -> None:
    text = text_of(Path("runs/r"))
    assert "small (10), large (200)" in text
    assert "for a budget of flops" in text and "for a budget of seconds" in text
    assert "small 75 %, large 25 %" in text
    assert "look at the greedy answer of small; then the greedy answer of large or the" in text
    assert "[83.0, 88.0]" in text and "4.00e3" in text
    assert "small: majority of 16" in text
    assert "orchard advise runs/r --accuracy 0.86" in text


def test_it_says_that_budgets_between_two_plans_mix_them() -> None:
    assert "for a budget of flops; one between two rows mixes them" in text_of(None)


def test_what_an_advised_accuracy_takes_is_what_the_advice_comes_to() -> None:
    points = [came(accuracy, flops) for accuracy, flops in ((0.7, 1e3), (0.866, 4e3), (0.9, 2e4))]
    profile = small_across()
    front = [
        msgspec.structs.replace(point, came=each)
        for point, each in zip(profile.fronts["flops"], points, strict=True)
    ]
    text = text_of(Path("runs/r"), msgspec.structs.replace(profile, fronts={"flops": front}))
    assert "86.0 % takes 3.892e3 FLOPs a problem" in text
    assert "--accuracy 0.86" in text


def test_of_a_single_policy_the_plans_are_in_tokens_and_nobody_asks_who_answers() -> None:
    of_two = small_across()
    points = of_two.fronts["flops"][:2]
    fronts = {"tokens": points, "flops": points}
    alone = msgspec.structs.replace(of_two, policies=of_two.policies[:1], fronts=fronts)
    text = text_of(Path("runs/r"), alone)
    assert text.startswith("Plans on sums, by 2 problems: small (10)")
    assert "for a budget of tokens" in text and "for a budget of flops" not in text
    assert "who answers" not in text and "look at the greedy answer; then the greedy" in text
    assert "86.0 % takes 40 tokens a problem" in text
    assert "alike for all problems" in text


def test_a_profile_outside_of_its_run_promises_no_advice() -> None:
    assert "orchard advise" not in text_of(None)


def test_there_is_no_column_of_costs_where_no_model_has_a_price() -> None:
    heads = [line for line in text_of(None).splitlines() if line.startswith("right %")]
    assert heads and not any("$" in head for head in heads)
