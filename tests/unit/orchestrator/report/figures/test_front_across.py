"""The figure of a front across models."""

from pathlib import Path

from orchestrator.report.figures.front_across import draw_front, front_across
from tests.unit.orchestrator.optimal.small_across import small_across


def test_there_is_a_panel_for_each_unit_with_the_front_and_what_policies_do_alone() -> None:
    figure = front_across(small_across())
    panels = figure.get_axes()
    assert [axes.get_xlabel() for axes in panels] == [
        "FLOPs a problem, policies and PRMs",
        "seconds a problem",
    ]
    labels = {str(each.get_label()) for each in panels[0].get_legend_handles_labels()[0]}
    assert {"across models", "small, fixed", "large, auto"} <= labels


def test_every_axis_has_ticks_to_read_it_by() -> None:
    flops, seconds = front_across(small_across()).get_axes()
    assert [text.get_text() for text in flops.get_xticklabels()] == ["10³", "3×10³", "10⁴"]
    assert [text.get_text() for text in seconds.get_xticklabels()] == ["1", "3", "10"]


def test_it_is_written_for_papers_and_for_pages(tmp_path: Path) -> None:
    files = draw_front(small_across(), tmp_path / "new", "sums-across")
    assert [file.name for file in files] == ["sums-across.svg", "sums-across.png"]
    assert all(file.stat().st_size for file in files)
