import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.image import imread

from orchestrator.report.curves import panels
from orchestrator.report.figures import draw
from orchestrator.report.grid import spread
from orchestrator.report.headline import HeadlineSpec
from orchestrator.report.summary import summarise

NAMES = {"accuracy_vs_n", "accuracy_vs_tokens", "by_difficulty"}


def test_every_figure_is_drawn_as_svg_and_png_and_shows_something(make_run, tmp_path):
    files = draw(summarise(make_run(12)), tmp_path / "figures")
    assert {(file.stem, file.suffix) for file in files} == {
        (name, suffix) for name in NAMES for suffix in (".svg", ".png")
    }
    for file in files:
        if file.suffix == ".svg":
            assert ElementTree.parse(file).getroot().tag.endswith("svg")
        else:
            pixels = imread(file)
            assert min(pixels.shape[:2]) > 300
            assert len(np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0)) > 50


def test_the_same_numbers_give_the_same_svg(make_run, tmp_path):
    summary = summarise([r for r in make_run(6) if r.policy == "policy-160k"])
    for folder in ("one", "two"):
        draw(summary, tmp_path / folder)
    for name in NAMES:
        one, two = (tmp_path / folder / f"{name}.svg" for folder in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_a_run_without_searches_draws_nothing(make_record, tmp_path):
    assert draw(summarise([make_record()]), tmp_path) == []
    assert draw(summarise([]), tmp_path) == []


def test_several_tasks_get_files_of_their_own(make_record, tmp_path):
    records = [
        make_record(task=task, cell=task, strategy="majority", n=4) for task in ("sums", "a/b c")
    ]
    assert {file.stem for file in draw(summarise(records), tmp_path)} == {
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


@pytest.mark.parametrize(
    ("places", "moved"),
    [([20, 50], [20, 50]), ([50, 52], [50, 60]), ([95, 96], [80, 90]), ([1], [10]), ([], [])],
)
def test_labels_move_apart_and_stay_inside(places, moved):
    assert spread(places, gap=10, low=10, high=90) == moved


def test_importing_the_report_loads_neither_matplotlib_nor_numpy():
    code = (
        "import sys, orchestrator.report.figures, orchestrator.report.table;"
        "print([m for m in ('matplotlib', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
