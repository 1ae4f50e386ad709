"""The report of an evaluation: sentences, tables and figures."""

import io
import json
import random
import re
from pathlib import Path

import pytest

from orchestrator.console.terminal import Terminal
from orchestrator.evaluation.evaluate import Evaluation, Failure, evaluate
from orchestrator.evaluation.samples import LabelledSolution, ScoredSolution
from orchestrator.report.data.prm_sentences import conclusion
from orchestrator.report.data.prm_summary import PRMSummary, prm_json, summarise_prms
from orchestrator.report.figures.prm_figures import FIGURES, draw_prms
from orchestrator.report.tables.prm_table import prm_report


def judged(scores: list[float], label: int, problem: str) -> ScoredSolution:
    steps = tuple(f"Step {i}." for i in range(len(scores)))
    sample = LabelledSolution(id=problem, problem=problem, steps=steps, label=label)
    return ScoredSolution(sample=sample, scores=tuple(scores))


def solutions(
    count: int = 200,
    *,
    right_score: float = 0.9,
    wrong_score: float = 0.1,
    per_step: float = 0.0,
    wrong_share: float = 0.5,
) -> list[ScoredSolution]:
    """Solutions of 1 to 8 steps; scores with a little noise, falling by ``per_step`` a step."""
    rng = random.Random(7)
    found = []
    for number in range(count):
        length = rng.randint(1, 8)
        label = rng.randrange(length) if rng.random() < wrong_share else -1
        scores = [
            min(1.0, max(0.0, base + per_step * i + rng.gauss(0, 0.02)))
            for i in range(length)
            for base in [right_score if label == -1 or i < label else wrong_score]
        ]
        found.append(judged(scores, label, f"p{number}"))
    return found


def measured(samples: list[ScoredSolution], name: str = "data", **settings: bool) -> Evaluation:
    return evaluate("prm", name, samples, threshold=0.5, **settings)


def summary(*rows: Evaluation) -> PRMSummary:
    return summarise_prms(rows, threshold=0.5, data={row.data: f"{row.data}.jsonl" for row in rows})


def printed(told: PRMSummary) -> str:
    console = Terminal(width=80, file=io.StringIO())
    console.print(prm_report(told))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "nan" not in text.lower() and "…" not in text
    return text


def test_an_overconfident_prm_is_called_so() -> None:
    said = conclusion(measured(solutions(wrong_score=0.8, right_score=0.95)))
    assert said.startswith("prm on data: finds the first error in 0.0 % of wrong solutions")
    assert "overconfident: scores average" in said


def test_an_underconfident_prm_is_called_so() -> None:
    assert "underconfident" in conclusion(measured(solutions(right_score=0.6)))


def test_a_threshold_that_would_do_better_is_told() -> None:
    said = conclusion(measured(solutions(right_score=0.95, wrong_score=0.8)))
    assert "at a threshold chosen on other samples" in said
    assert "at a threshold" not in conclusion(measured(solutions()))


def test_a_length_bias_is_told_with_its_direction_and_size() -> None:
    said = conclusion(measured(solutions(per_step=-0.04)))
    assert re.search("longer right solutions score lower, by 0.0(39|40|41)", said)
    assert "no length bias shown" in conclusion(measured(solutions()))
    falling = conclusion(measured(solutions(per_step=-0.04), running_minimum=True))
    assert "lower, as a running minimum must, by" in falling


@pytest.mark.parametrize(("wrong_share", "side"), [(0.0, "right"), (1.0, "wrong")])
def test_what_samples_of_one_kind_cannot_give_is_said(wrong_share: float, side: str) -> None:
    row = measured(solutions(wrong_share=wrong_share))
    assert f"all samples are {side}, so F1, AUROC and a best threshold cannot be given" in (
        conclusion(row)
    )
    text = printed(summary(row))
    assert f"all samples are {side}, so no F1, AUROC or threshold." in " ".join(text.split())


def test_right_solutions_alone_give_no_verdict_on_confidence() -> None:
    assert "confident" not in conclusion(measured(solutions(wrong_share=0.0)))


def test_nothing_scored_is_said_in_words_and_dashes() -> None:
    row = evaluate(
        "prm", "data", [], [Failure(sample=f"s{i}", reason="too long") for i in range(7)],
        threshold=0.5,
    )  # fmt: skip
    text = printed(summary(row))
    assert "prm on data: nothing was scored" in text
    assert "not scored: s0, s1, s2, s3, s4 and 2 more: too long." in " ".join(text.split())


def test_tables_hold_their_numbers_at_80_columns() -> None:
    named = measured(solutions(), name="olympiadbench")
    text = printed(summary(named, measured(solutions(100), name="gsm8k")))
    assert "olympiadbench" in text and "\nmean " in text
    assert "100.0" in text and "[96." in text
    for heading in ("Calibration", "Solution scores", "Mean score of right steps", "conclusions"):
        assert heading in text


def test_a_running_minimum_is_explained() -> None:
    text = " ".join(printed(summary(measured(solutions(), running_minimum=True))).split())
    assert "prm: scores are the running minimum, which changes no first error" in text
    assert "running minimum" not in printed(summary(measured(solutions())))


def test_the_json_holds_everything_and_never_nan() -> None:
    samples = (solutions(), solutions(wrong_share=0.0), [])
    rows = [measured(each, name) for each, name in zip(samples, "abc", strict=True)]
    told = json.loads(prm_json(summary(*rows)), parse_constant=pytest.fail)
    assert [row["data"] for row in told["rows"]] == ["a", "b", "c"]
    assert told["mean_f1"] == {"prm": None} and len(told["conclusions"]) == 3
    f1, none, _ = (row["first_error"]["f1"] for row in told["rows"])
    assert f1["low"] <= f1["value"] <= f1["high"] and none is None


def test_every_figure_is_drawn_as_png_and_svg(tmp_path: Path) -> None:
    written = draw_prms(summary(measured(solutions())), tmp_path)
    assert sorted(written) == sorted(
        tmp_path / f"{name}{suffix}" for name in FIGURES for suffix in (".png", ".svg")
    )
    assert all(path.stat().st_size > 1000 for path in written)


@pytest.mark.parametrize("wrong_share", [0.0, 1.0])
def test_samples_of_one_kind_are_drawn_as_far_as_they_go(wrong_share: float) -> None:
    told = summary(measured(solutions(40, wrong_share=wrong_share)))
    assert all(plot(told) is not None for plot in FIGURES.values())


def test_without_scores_there_is_nothing_to_draw(tmp_path: Path) -> None:
    assert draw_prms(summary(measured([])), tmp_path) == []


def test_a_mean_over_too_few_solutions_is_not_drawn(tmp_path: Path) -> None:
    two_each = [judged([0.9] * length, -1, f"p{length}") for length in (1, 1, 2, 2)]
    written = draw_prms(summary(measured(two_each)), tmp_path)
    assert {path.stem for path in written} == set(FIGURES) - {"score_by_steps"}


def test_a_data_sets_prms_stand_beside_each_other() -> None:
    rows = [
        evaluate(prm, data, solutions(40), threshold=0.5)
        for prm in ("one", "two")
        for data in ("a", "b", "c")
    ]
    figure = FIGURES["score_by_steps"](summary(*rows))
    assert figure is not None
    titles = [axes.get_title(loc="left").split("\n") for axes in figure.axes]
    assert titles == [[prm, data] for data in ("a", "b", "c") for prm in ("one", "two")]
