"""The figure of votes by number of samples, of a profile."""

from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest

from orchestrator.core.voting import VOTES
from orchestrator.optimal.profile import PASS, Profile, Resampled
from orchestrator.report.figures.resampled_votes import (
    ORACLE,
    WITH_INTERVAL,
    accuracy_by_samples,
    draw_resampled,
)
from tests.unit.orchestrator.optimal.small_profile import small_profile

PAPER = ("majority", "weighted_last", "max_last")


def profile(votes: Iterable[str], ns: Iterable[int] = (1, 2, 4, 8)) -> Profile:
    samples = [
        Resampled(vote=vote, n=n, accuracy=0.5 + n / 50, low=0.4 + n / 50, high=0.6 + n / 50)
        for vote in (*votes, PASS)
        for n in ns
    ]
    return msgspec.structs.replace(small_profile(), samples=samples)


@pytest.mark.parametrize(
    ("votes", "titles"),
    [
        (PAPER, ["votes by PRM scores"]),
        (("majority", "borda_mean"), ["votes by confidence, no PRM"]),
        (("majority",), ["majority"]),
        (VOTES, ["votes by PRM scores", "votes that trust the PRM less",
                 "votes by confidence, no PRM"]),
    ],
)  # fmt: skip
def test_each_family_of_votes_has_a_panel_and_no_vote_is_left_out(
    votes: Iterable[str], titles: list[str]
) -> None:
    axes = accuracy_by_samples(profile(votes)).axes
    assert [each.get_title(loc="left").split("\n")[1] for each in axes] == titles
    named = {text.get_text().split()[0] for each in axes for text in each.texts}
    assert named == {*votes} - {"majority"}


def test_majority_and_the_oracle_are_in_every_panel_and_once_in_the_legend() -> None:
    figure = accuracy_by_samples(profile((*PAPER, "pooled_last", "confident_tail")))
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [WITH_INTERVAL, ORACLE]
    for axes in figure.axes:
        assert axes.get_legend_handles_labels()[1] == [ORACLE, WITH_INTERVAL]
        assert [text.get_text() for text in axes.get_xticklabels()] == ["1", "2", "4", "8"]


def test_measures_of_confidence_are_told_apart_by_their_line() -> None:
    votes = ("confident_mean", "confident_tail", "confident_lowest")
    (axes,) = accuracy_by_samples(profile(votes)).axes
    assert [text.get_text() for text in axes.texts] == [
        "confident_mean —", "confident_tail – –", "confident_lowest ···",
    ]  # fmt: skip


def test_names_of_equal_curves_stand_apart() -> None:
    (axes,) = accuracy_by_samples(profile(("borda_mean", "borda_tail"))).axes
    one, two = (text.xy[1] for text in axes.texts)
    low, high = axes.get_ylim()
    assert abs(one - two) > 0.04 * (high - low)


def test_it_is_written_beside_the_profile_where_there_are_several_n(tmp_path: Path) -> None:
    files = draw_resampled(profile(PAPER), tmp_path / "new", "sums-votes")
    assert [file.name for file in files] == ["sums-votes.svg", "sums-votes.png"]
    assert draw_resampled(profile(PAPER, ns=[1]), tmp_path, "one") == []
    assert draw_resampled(small_profile(), tmp_path, "none") == []
