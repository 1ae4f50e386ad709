"""Cells across models in summaries, tables, words, figures and comparisons."""

import json
import re
from dataclasses import replace
from io import StringIO

from rich.console import Console

from orchestrator.core.compute import inference_flops
from orchestrator.core.records import LookTaken, ModelUse, Record, Route, Verdict
from orchestrator.report.compare.comparison import ComparedRun, compare_runs
from orchestrator.report.data.cells import gather
from orchestrator.report.data.curves import panels
from orchestrator.report.data.ledger import ledger
from orchestrator.report.data.summary import summarise, to_json
from orchestrator.report.figures.across_models import accuracy_vs_cost, accuracy_vs_flops
from orchestrator.report.figures.spending import spending
from orchestrator.report.tables.routing_words import routing
from orchestrator.report.tables.table import report
from tests.unit.orchestrator.report.conftest import record

SMALL, LARGE = 160_000, 2_000_000
BUDGET = {"unit": "flops", "budget": 2e9, "profile": "digest"}


def across(number: int, *, handed_over: bool, correct: bool = True) -> Record:
    """A problem that the small policy answers greedily, or hands over to the large one."""
    looks = [LookTaken(policy="small", prm=None, pilots=1, score=0.05 if handed_over else 0.9)]
    models = {
        "small": ModelUse(
            policy_tokens=10, prompt_tokens=5, seconds=0.2, cost=0.5, params=SMALL,
            answered=not handed_over,
        ),
        "large": ModelUse(params=LARGE),
        "prm": ModelUse(params=SMALL),
    }  # fmt: skip
    if handed_over:
        looks.append(LookTaken(policy="small", prm="prm", pilots=4, score=0.2))
        models["large"] = ModelUse(
            policy_tokens=40, prompt_tokens=5, seconds=0.6, params=LARGE, answered=True
        )
        models["prm"] = ModelUse(prm_tokens=60, seconds=0.1, params=SMALL)
    route = Route(
        bin="hard" if handed_over else "easy",
        predicted=looks[0].score,
        strategy="beam_search" if handed_over else "cot",
        settings={"n": 16} if handed_over else {},
        vote="max_last" if handed_over else "majority",
        rule="profile",
        policy="large" if handed_over else "small",
        prm="prm" if handed_over else None,
        looks=tuple(looks),
    )
    return record(
        problem=f"p{number}", policy="small, large", policy_params=None, prm="prm",
        prm_params=None, strategy="auto", n=0, settings=BUDGET, route=route, models=models,
        cell="small,large+prm/auto", verdicts={"auto": Verdict(answer="7", correct=correct)},
        policy_tokens=50 if handed_over else 10, prm_tokens=60 if handed_over else 0, cost=0.5,
        wasted_tokens=10 if handed_over else 0,
    )  # fmt: skip


CELL = [*(across(i, handed_over=False) for i in range(6)), across(6, handed_over=True)]
GREEDY = [
    record(
        problem=f"p{i}", policy=policy, policy_params=size, strategy="cot", correct=i < right,
        cell=f"{policy}/cot", cost=0.1,
    )
    for policy, size, right in (("small", SMALL, 4), ("large", LARGE, 6))
    for i in range(7)
]  # fmt: skip


def said(records: list[Record]) -> str:
    return "\n".join(line.plain for line in routing(summarise(records).routes))


def test_each_bin_names_the_model_that_answers_and_each_model_what_it_did() -> None:
    assert said(CELL) == (
        "Routing of small, large under prm, 2e9 FLOPs a problem\n"
        "  easy, 6 problems: small's greedy answer\n"
        "  hard, 1 problem: large, beam search 16 with PRM-Last\n"
        "  small: 7 problems, of which it answered 6; 10 tokens, 4.8e6 FLOPs, $0.5, 0.2 s a "
        "problem of all\n"
        "  large: 1 problem, of which it answered 1; 6 tokens, 2.571e7 FLOPs, 0.086 s a problem of "
        "all\n"
        "  prm: 1 problem; 9 tokens, 2.743e6 FLOPs, 0.014 s a problem of all\n"
    )
    assert "  large: not used\n" in said(CELL[:6])


def test_a_model_that_was_down_answered_nothing_where_the_leaves_are_anothers() -> None:
    (lost,) = CELL[6:]
    small = replace(lost.models["small"], answered=True)
    models = {**lost.models, "small": small, "large": ModelUse(params=LARGE)}
    words = said([*CELL[:6], replace(lost, models=models, ran_out="endpoint", error="down")])
    assert "  small: 7 problems, of which it answered 7; " in words
    assert "  large: not used\n" in words


def test_a_cell_without_a_look_has_one_bin_of_all_problems() -> None:
    blind = [
        replace(each, route=replace(each.route, bin="all", predicted=None, looks=()))
        for each in CELL[:6]
        if each.route
    ]
    assert "  all, 6 problems: small's greedy answer\n" in said(blind)
    (cell,) = json.loads(to_json(summarise(blind)))["routes"]
    assert cell["bins"]["all"]["predicted"] is None


def test_a_cell_that_mixes_two_plans_says_how_many_problems_went_by_each() -> None:
    mixed = [
        replace(each, route=replace(each.route, plan="dear" if i < 3 else "cheap"))
        for i, each in enumerate(CELL)
        if each.route
    ]
    assert said(mixed).splitlines()[:3] == [
        "Routing of small, large under prm, 2e9 FLOPs a problem",
        "  two plans are mixed: 3 problems by the dear one, 4 by the cheap one",
        "  easy, 6 problems: small's greedy answer",
    ]
    (cell,) = json.loads(to_json(summarise(mixed)))["routes"]
    assert cell["plans"] == {"cheap": 4, "dear": 3}
    (cell,) = json.loads(to_json(summarise(CELL)))["routes"]
    assert cell["plans"] == {}


def test_the_flops_of_a_row_are_the_sum_over_its_models() -> None:
    (row,) = summarise(CELL).rows
    assert row.models == ("small", "large", "prm")
    assert row.flops is not None and row.flops.total == (
        7 * inference_flops(SMALL, prefill_tokens=5, decode_tokens=10)
        + inference_flops(LARGE, prefill_tokens=5, decode_tokens=40)
        + inference_flops(SMALL, prefill_tokens=60, decode_tokens=0)
    )
    unknown = replace(CELL[6], models={**CELL[6].models, "large": ModelUse(policy_tokens=1)})
    (row,) = summarise([*CELL[:6], unknown]).rows
    assert row.flops is None


def test_json_tells_the_looks_and_the_model_of_each_way() -> None:
    (cell,) = json.loads(to_json(summarise(CELL)))["routes"]
    (easy,), (hard,) = (cell["bins"][bin]["ways"] for bin in ("easy", "hard"))
    assert (easy["policy"], easy["prm"], easy["strategy"]) == ("small", None, "cot")
    assert (hard["policy"], hard["prm"], hard["strategy"]) == ("large", "prm", "beam_search")
    assert [look["pilots"] for look in hard["looks"]] == [1, 4]
    assert cell["models"]["large"]["problems"] == cell["models"]["large"]["answered"] == 1
    assert cell["models"]["prm"]["answered"] is None


def test_tables_show_the_cell_by_the_names_of_its_models() -> None:
    summary = summarise([*CELL, *GREEDY])
    for table in (report(summary), ledger(summary, {})):
        console = Console(width=80, record=True, file=StringIO())
        console.print(table)
        text = console.export_text()
        assert re.search(r"small, large under prm\n(.*\n){2}auto  ", text)


def test_it_is_compared_to_the_greedy_answer_of_its_largest_policy() -> None:
    records = [*CELL, *GREEDY]
    cells = {cell.id: cell for cell in gather(records)}
    run = ComparedRun(name="run", summary=summarise(records), cells=cells, trained={})
    bases = {each.side.row.policy: each.base.row.policy for each in compare_runs([run]).differences}
    assert bases["small, large"] == "large"


def test_figures_compare_all_policies_by_flops_and_cost_and_no_tokens_across_them() -> None:
    summary = summarise([*CELL, *GREEDY])
    assert panels(summary) == [] and spending(CELL) is None
    for figure in (accuracy_vs_flops(summary), accuracy_vs_cost(summary)):
        assert figure is not None
        labels = [text.get_text() for text in figure.legends[0].get_texts()]
        assert labels == [
            "CoT", "large (2M)", "small (0.16M)", "auto across models", "best fixed",
        ]  # fmt: skip
        ticks = [text.get_text() for text in figure.get_axes()[0].get_xticklabels()]
        assert len(ticks) >= 3 and not any("e+" in tick for tick in ticks)
    alone = summarise([each for each in GREEDY if each.policy == "small"])
    assert accuracy_vs_flops(alone) is None
