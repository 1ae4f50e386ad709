"""The figure of votes over the same samples."""

from collections.abc import Callable

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from orchestrator.core.records import Record
from orchestrator.core.voting import VOTES
from orchestrator.report.data.summary import summarise
from orchestrator.report.figures.votes_plot import NOT_SHOWN, OF_MAJORITY, accuracy_by_vote

MakeVoted = Callable[..., list[Record]]

RIGHT = {
    "majority": "000000001111", "max_last": "111111111111", "pooled_last": "000000011111",
}  # fmt: skip


def figure_of(records: list[Record]) -> Figure:
    figure = accuracy_by_vote(summarise(records), records)
    assert figure is not None
    return figure


def dots(axes: Axes) -> list[tuple[float, str]]:
    """Accuracy and filling of each dot, votes from the top down."""
    found = [line for line in axes.lines if line.get_marker() == "o" and len(line.get_xdata())]
    found.sort(key=lambda line: line.get_ydata()[0])
    return [(line.get_xdata()[0], str(line.get_markerfacecolor())) for line in found]


def test_votes_stand_in_their_usual_order_whatever_their_accuracy(make_voted: MakeVoted) -> None:
    (axes,) = figure_of(make_voted(RIGHT | {"max_min": "1" * 12}, prm="prm-qwen")).axes
    assert [text.get_text() for text in axes.get_yticklabels()] == [
        "majority", "max_last", "pooled_last",
    ]  # fmt: skip
    assert [round(accuracy) for accuracy, _ in dots(axes)] == [33, 100, 42]


def test_a_dot_is_hollow_where_no_difference_to_the_majority_is_shown(
    make_voted: MakeVoted,
) -> None:
    (axes,) = figure_of(make_voted(RIGHT, prm="prm-qwen")).axes
    assert [filling == "white" for _, filling in dots(axes)] == [False, False, True]


def test_each_policy_and_prm_has_a_panel_and_each_n_a_shade(make_voted: MakeVoted) -> None:
    records = [
        record
        for n in (16, 4, 64)
        for prm in ("prm-qwen", "prm-shepherd")
        for record in make_voted(RIGHT, n=n, prm=prm)
    ]
    figure = figure_of(records)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "policy-160k (0.16M)\nunder prm-qwen", "policy-160k (0.16M)\nunder prm-shepherd",
    ]  # fmt: skip
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "N = 4", "N = 16", "N = 64", NOT_SHOWN, OF_MAJORITY,
    ]  # fmt: skip
    assert len({filling for _, filling in dots(figure.axes[0])} - {"white"}) == 3


def test_many_votes_of_many_n_get_a_higher_panel(make_voted: MakeVoted) -> None:
    records = [
        record
        for n in (4, 8, 16, 32, 64)
        for record in make_voted(dict.fromkeys(VOTES, "10"), n=n, prm="prm-qwen")
    ]
    few = figure_of(make_voted(RIGHT, prm="prm-qwen"))
    assert figure_of(records).get_figheight() > few.get_figheight() + 1


def test_one_vote_alone_is_no_figure(make_voted: MakeVoted) -> None:
    records = make_voted({"majority": "10"}, "majority")
    assert accuracy_by_vote(summarise(records), records) is None
