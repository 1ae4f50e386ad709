import subprocess
import sys
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.image import imread

from orchestrator.core.difficulty import difficulty
from orchestrator.core.records import Route, Verdict
from orchestrator.report.data.curves import panels
from orchestrator.report.data.headline import HeadlineSpec
from orchestrator.report.data.summary import summarise
from orchestrator.report.data.winners import contenders, winner
from orchestrator.report.figures.bin_plots import winners
from orchestrator.report.figures.draw import draw
from orchestrator.report.figures.grid import spread
from orchestrator.report.figures.pareto import front, pareto
from orchestrator.report.figures.plots import (
    accuracy_vs_n,
    accuracy_vs_tokens,
    by_difficulty,
    decade_ticks,
)
from orchestrator.report.figures.spending import spending
from orchestrator.report.figures.style import LABEL_SIZE, LOOKS, RC, ROUTED, look_of

NAMES = {
    "accuracy_vs_n", "accuracy_vs_tokens", "by_difficulty", "accuracy_vs_n_by_bin",
    "accuracy_vs_tokens_by_bin", "winners", "pareto",
}  # fmt: skip


def drawn(records, folder):
    return draw(summarise(records), records, folder)


@pytest.fixture
def make_routed(make_record):
    """The records of a routed cell: problems from hard to easy, the hard ones' trees larger."""

    def records(problems=12, **settings):
        return [
            make_record(
                problem=f"sum-{i}", strategy="auto", n=0, prm="prm-qwen",
                cell=f"auto-{settings}", settings=settings,
                verdicts={"auto": Verdict(answer="7", correct=i % 3 > 0)},
                policy_tokens=2000 // (i + 1), prm_tokens=100,
                route=Route(
                    bin=difficulty(i / problems), predicted=i / problems, settings={},
                    strategy=("dvts", "best_of_n", "cot")[i % 3],
                    vote=("max_last", "weighted_last", "majority")[i % 3], rule="profile",
                ),
            )
            for i in range(problems)
        ]  # fmt: skip

    return records


def texts(figure):
    from matplotlib.text import Text

    return {text.get_text() for text in figure.findobj(Text)}


def test_every_figure_is_drawn_as_svg_and_png_and_shows_something(make_run, make_routed, tmp_path):
    files = drawn([*make_run(12), *make_routed(profile="p")], tmp_path / "figures")
    assert {(file.stem, file.suffix) for file in files} == {
        (name, suffix)
        for name in {*NAMES, "spending", "accuracy_vs_flops", "votes"}
        for suffix in (".svg", ".png")
    }
    for file in files:
        if file.suffix == ".svg":
            assert ElementTree.parse(file).getroot().tag.endswith("svg")
        else:
            pixels = imread(file)
            assert min(pixels.shape[:2]) > 300
            colours = (pixels[..., :3] * 255).astype(np.uint32) @ (1, 256, 65536)
            assert len(np.unique(colours)) > 50


def test_the_same_numbers_give_the_same_svg(make_run, tmp_path):
    records = [r for r in make_run(6) if r.policy == "policy-160k"]
    for folder in ("one", "two"):
        drawn(records, tmp_path / folder)
    for name in NAMES:
        one, two = (tmp_path / folder / f"{name}.svg" for folder in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_a_run_without_searches_draws_nothing(make_record, tmp_path):
    assert drawn([make_record()], tmp_path) == []
    assert drawn([], tmp_path) == []


def test_several_tasks_get_files_of_their_own(make_record, tmp_path):
    records = [
        make_record(task=task, cell=task, strategy="majority", n=4) for task in ("sums", "a/b c")
    ]
    assert {file.stem for file in drawn(records, tmp_path)} == {
        "accuracy_vs_n-sums", "accuracy_vs_n-a-b-c",
        "accuracy_vs_tokens-sums", "accuracy_vs_tokens-a-b-c",
    }  # fmt: skip


def test_a_panel_has_majority_beside_the_searches_and_every_larger_policys_cot(make_run):
    found = panels(summarise(make_run(5)))
    assert [(panel.policy, panel.prm) for panel in found[:3]] == [
        ("policy-160k", "prm-qwen"), ("policy-160k", "prm-shepherd"), ("policy-430k", "prm-qwen"),
    ]  # fmt: skip
    assert [(curve.label, curve.vote) for curve in found[0].curves] == [
        ("majority", "majority"), ("best-of-N", "max_last"), ("weighted vote", "weighted_last"),
        ("beam search", "max_last"), ("DVTS", "max_last"),
    ]  # fmt: skip
    assert [row.policy for row in found[0].larger] == ["policy-430k", "policy-2m"]
    assert found[-1].larger == ()


def test_the_headlines_vote_is_the_vote_of_the_curves(make_run):
    spec = HeadlineSpec(
        small="policy-160k", prm="prm-qwen", strategy="dvts", n=16, vote="weighted_min",
        large="policy-2m",
    )  # fmt: skip
    votes = {curve.label: curve.vote for curve in panels(summarise(make_run(5), spec))[0].curves}
    assert votes == {
        "majority": "majority", "best-of-N": "max_min", "weighted vote": "weighted_min",
        "beam search": "weighted_min", "DVTS": "weighted_min",
    }  # fmt: skip


def test_strategies_meet_at_the_largest_n_all_of_them_ran(make_run):
    records = [r for r in make_run(5) if r.strategy != "dvts" or r.n < 64]
    assert panels(summarise(records))[0].largest_common_n == 16


def test_routed_cells_stand_among_the_others_by_tokens_and_have_no_n(make_run, make_routed):
    records = [r for r in make_run(5) if r.policy == "policy-160k" and r.prm != "prm-shepherd"]
    records += [
        *make_routed(profile="p"),
        *make_routed(profile="p", pool=True, unit="tokens"),
        *make_routed(),
    ]
    found = panels(summarise(records))
    names = {"auto", "auto, pool", "auto by rule"}
    assert names <= texts(accuracy_vs_tokens(found)) & texts(pareto(found))
    assert not names & texts(accuracy_vs_n(found))


def test_a_run_of_routed_cells_alone_draws_what_it_can(make_record, make_routed, tmp_path):
    records = [*make_routed(profile="p"), make_record(problem="sum-1")]
    assert {file.stem for file in drawn(records, tmp_path)} == {
        "accuracy_vs_tokens", "pareto", "spending",
    }  # fmt: skip


def test_spending_says_where_the_tokens_went_and_by_which_strategy(make_routed):
    figure = spending(
        [
            *make_routed(10, profile="p"),
            *make_routed(10, profile="p", pool=True, budget=5000, unit="tokens"),
        ]
    )
    said = "\n".join(texts(figure))
    assert {"DVTS", "weighted vote", "CoT", "hard", "medium", "easy"} <= texts(figure)
    assert "auto, pool, 5,000 tokens for all problems\npolicy-160k (0.16M) under prm-qwen" in said
    assert "problems: 10 % hard, 40 % medium, 50 % easy" in said
    spent = [2000 // (i + 1) + 100 for i in range(10)]
    shares = [sum(spent[a:b]) / sum(spent) for a, b in ((0, 1), (1, 5), (5, 10))]
    hard, medium, easy = (f"{100 * share:.0f} %" for share in shares)
    assert f"tokens: {hard} hard, {medium} medium, {easy} easy" in said
    assert spending([]) is None


def test_a_strategy_of_ones_own_is_drawn_in_a_look_of_its_own(make_run):
    records = [r for r in make_run(8) if r.policy == "policy-160k" and r.prm == "prm-qwen"]
    own = [replace(r, strategy="look_ahead", cell="own") for r in records if r.strategy == "dvts"]
    found = panels(summarise([*records, *own]))
    for plot in (accuracy_vs_n, accuracy_vs_tokens, pareto, by_difficulty):
        assert "look ahead" in texts(plot(found))
    assert look_of("look ahead") not in (*LOOKS.values(), *ROUTED.values())


def test_the_heat_map_names_the_winner_of_every_bin(make_run):
    found = panels(summarise(make_run(12)))
    said = texts(winners(found))
    for panel in found:
        best = winner("easy", contenders(panel))
        share = best[1].by_difficulty["easy"]["accuracy"]
        assert any(text.startswith(f"{best[0]}\n{100 * share:.0f} [") for text in said)
    assert any("N = 64" in text for text in said)
    assert winners([panel for panel in found if not panel.curves]) is None


def test_of_equal_winners_the_cheapest_stands(make_run):
    found = panels(summarise(make_run(4)))[0]
    rows = [
        (name, replace(row, policy_tokens=cost, prm_tokens=0, by_difficulty={"easy": share(0.5)}))
        for (name, row), cost in zip(contenders(found)[:3], (300, 100, 200), strict=True)
    ]
    assert winner("easy", rows) == rows[1]
    assert winner("hard", rows) is None


def share(accuracy):
    return {"problems": 4, "accuracy": accuracy, "ci_low": 0, "ci_high": 1, "tokens": 1}


def test_the_front_holds_what_no_cheaper_cell_is_as_good_as(make_run):
    (panel, *_) = panels(summarise(make_run(4)))
    row = panel.curves[0].rows[0]
    cells = [
        replace(row, policy_tokens=cost, prm_tokens=0, accuracy=accuracy)
        for cost, accuracy in ((10, 0.5), (20, 0.4), (30, 0.7), (30, 0.6), (40, 0.7), (50, 0.8))
    ]
    assert front(cells) == [cells[0], cells[2], cells[5]]


def test_no_text_is_too_small_for_a_papers_column(make_run, make_routed):
    sizes = [value for key, value in RC.items() if key.endswith("size") and "marker" not in key]
    assert min(*sizes, LABEL_SIZE) >= 7
    found = panels(summarise([*make_run(4), *make_routed(profile="p")]))
    for figure in (winners(found), pareto(found)):
        from matplotlib.text import Text

        shown = [text for text in figure.findobj(Text) if text.get_text()]
        assert min(text.get_fontsize() for text in shown) >= 7


@pytest.mark.parametrize("span", [(0.8, 1.85), (70, 20_000), (800, 1250), (5, 5_000_000)])
def test_a_token_axis_has_ticks_to_read_it_by(span):
    ticks = decade_ticks(*(1000 * end for end in span))
    assert len(ticks) >= 2
    assert all(1000 * span[0] <= tick <= 1000 * span[1] for tick in ticks)


@pytest.mark.parametrize(
    ("places", "moved"),
    [([20, 50], [20, 50]), ([50, 52], [50, 60]), ([95, 96], [80, 90]), ([1], [10]), ([], [])],
)
def test_labels_move_apart_and_stay_inside(places, moved):
    assert spread(places, gap=10, low=10, high=90) == moved


def test_importing_the_report_loads_neither_matplotlib_nor_numpy():
    code = (
        "import sys, orchestrator.report.figures.draw, orchestrator.report.tables.table;"
        "print([m for m in ('matplotlib', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
