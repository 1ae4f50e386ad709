"""What is printed of the votes over the same samples."""

import io
from collections.abc import Callable
from dataclasses import replace

import pytest

from orchestrator.console.terminal import Terminal
from orchestrator.core.records import Record
from orchestrator.core.voting import VOTES
from orchestrator.report.data.cells import cells_by_id
from orchestrator.report.data.summary import summarise
from orchestrator.report.data.votes import shown_votes
from orchestrator.report.tables.votes_table import votes_table

MakeVoted = Callable[..., list[Record]]


def printed(records: list[Record], *, width: int = 80, all_votes: bool = False) -> str:
    file = io.StringIO()
    shown = shown_votes(summarise(records), cells_by_id(records), all_votes=all_votes)
    Terminal(file=file, width=width).print(votes_table(shown))
    return file.getvalue()


def test_every_vote_has_its_accuracy_and_its_paired_difference_to_majority(
    make_voted: MakeVoted,
) -> None:
    right = {"majority": "0000000011", "max_last": "1111111111", "pooled_last": "0000000011"}
    lines = [" ".join(line.split()) for line in printed(make_voted(right, prm="q")).splitlines()]
    assert lines[0] == "policy-160k (0.16M) under q: best-of-N, N = 16, 10 problems"
    assert lines[3:6] == [
        "1 max_last 100.0 [72.2, 100.0] +80.0 [+50.0, +100.0] better",
        "2= majority 20.0 [5.7, 51.0] – – –",
        "2= pooled_last 20.0 [5.7, 51.0] +0.0 [-30.8, +30.8] –",
    ]


def test_the_order_is_called_a_flattering_pick(make_voted: MakeVoted) -> None:
    text = " ".join(printed(make_voted({"majority": "01", "max_last": "11"}, prm="q")).split())
    assert "the vote on top is a flattering pick" in text
    assert "of 1 comparison about 1 would be by chance" in text


@pytest.mark.parametrize("width", [50, 64, 80])
def test_all_votes_fit_a_terminal_and_none_is_cut(make_voted: MakeVoted, width: int) -> None:
    records = make_voted(dict.fromkeys(VOTES, "1" * 99 + "0"), prm="prm-qwen")
    text = printed(records, width=width, all_votes=True)
    assert max(map(len, text.splitlines())) <= width and "…" not in text
    for vote in VOTES:
        assert any(vote in line.split() and "99.0" in line for line in text.splitlines())


def test_how_to_see_the_rest_is_said(make_voted: MakeVoted) -> None:
    right = dict.fromkeys(("majority", "max_last", "max_min"), "1")
    records = [each for n in (4, 16) for each in make_voted(right, n=n, prm="q")]
    text = " ".join(printed(records).split())
    assert "`--all-votes` adds 1 row." in text
    assert "1 more cell took several votes: `--cell TEXT` shows those" in text
    assert "--all-votes" not in printed(records, all_votes=True)


def test_where_the_majority_decided_in_a_votes_place_is_said(make_voted: MakeVoted) -> None:
    records = make_voted({"majority": "11", "borda_mean": "11", "max_last": "11"}, prm="q")
    first = records[0]
    verdicts = {
        vote: replace(each, by="majority") if vote == "borda_mean" else each
        for vote, each in first.verdicts.items()
    }
    text = " ".join(printed([replace(first, verdicts=verdicts), *records[1:]]).split())
    assert (
        "on 1 of them no sample had what the vote goes by, and the majority decided: borda_mean."
    ) in text
