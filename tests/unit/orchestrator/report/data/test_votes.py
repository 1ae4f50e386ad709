"""Votes over the same leaves: which are shown, and how they stand against the majority."""

import json
from collections.abc import Callable

import pytest

from orchestrator.core.records import Record
from orchestrator.core.voting import VOTES
from orchestrator.errors import RunError
from orchestrator.report.data.cells import cells_by_id
from orchestrator.report.data.headline import HeadlineSpec
from orchestrator.report.data.summary import summarise, to_json
from orchestrator.report.data.votes import (
    ShownVotes,
    sampling_cells,
    shown_votes,
    usual_votes,
    votes_json,
)

MakeVoted = Callable[..., list[Record]]

RIGHT = {
    "majority": "0000000011", "max_last": "1111111111", "pooled_last": "1111111100",
    "confident_mean": "0000000011", "borda_mean": "0000000001",
}  # fmt: skip


def votes_of(records: list[Record], *wanted: str, all_votes: bool = False) -> ShownVotes:
    return shown_votes(summarise(records), cells_by_id(records), wanted, all_votes=all_votes)


def test_votes_come_best_first_and_equals_share_a_rank(make_voted: MakeVoted) -> None:
    (cell,) = votes_of(make_voted(RIGHT, prm="prm-qwen")).cells
    assert [(cell.rank(each), each.row.vote, cell.is_tied(each)) for each in cell.results] == [
        (1, "max_last", False), (2, "pooled_last", False), (3, "majority", True),
        (3, "confident_mean", True), (5, "borda_mean", False),
    ]  # fmt: skip


def test_each_vote_is_paired_with_the_majority_of_the_same_problems(make_voted: MakeVoted) -> None:
    (cell,) = votes_of(make_voted(RIGHT, prm="prm-qwen")).cells
    found = {each.row.vote: each.over_majority for each in cell.results}
    assert found["majority"] is None
    assert {
        vote: (each.wins, each.losses, each.verdict) for vote, each in found.items() if each
    } == {
        "max_last": (8, 0, "better"), "pooled_last": (8, 2, "not shown"),
        "confident_mean": (0, 0, "not shown"), "borda_mean": (0, 1, "not shown"),
    }  # fmt: skip


def test_one_vote_of_each_kind_is_usual_however_good_the_others_are(make_voted: MakeVoted) -> None:
    right = dict.fromkeys(VOTES, "1") | dict.fromkeys(("max_last", "confident_mean"), "0")
    summary = summarise(make_voted(right, prm="prm-qwen"))
    assert [row.vote for row in usual_votes(summary.rows, summary)] == [
        "majority", "max_last", "weighted_last", "best_of_majority_last", "pooled_last",
        "confident_mean", "most_confident_mean", "top_confident_tail", "borda_mean",
    ]  # fmt: skip


def test_the_headlines_reward_is_the_usual_one_and_own_votes_stay(make_voted: MakeVoted) -> None:
    spec = HeadlineSpec(
        small="policy-160k", prm="prm-qwen", strategy="best_of_n", n=16, vote="weighted_min",
        large="policy-2m",
    )  # fmt: skip
    right = dict.fromkeys(("majority", "max_last", "max_min", "vowels", "weighted_min"), "1")
    records = [
        *make_voted(right, prm="prm-qwen"),
        *make_voted({"majority": "1"}, "cot", 1, policy="policy-2m"),
    ]
    summary = summarise(records, spec)
    own = [row for row in summary.rows if row.strategy == "best_of_n"]
    assert [row.vote for row in usual_votes(own, summary)] == [
        "majority", "max_min", "weighted_min", "vowels",
    ]  # fmt: skip


def test_what_is_left_out_is_counted(make_voted: MakeVoted) -> None:
    right = {"majority": "10", "max_last": "11", "max_min": "11", "max_avg": "11"}
    records = [
        record
        for n in (4, 16)
        for strategy in ("best_of_n", "dvts")
        for record in make_voted(right, strategy, n, prm="prm-qwen")
    ]
    shown = votes_of(records)
    assert [(cell.row.strategy, cell.row.n) for cell in shown.cells] == [("best_of_n", 16)]
    assert (shown.hidden_votes, shown.hidden_cells) == (2, 3)
    everything = votes_of(records, "", all_votes=True)
    assert (len(everything.cells), everything.hidden_votes, everything.hidden_cells) == (4, 0, 0)


def test_cells_that_took_one_vote_have_nothing_to_compare(make_voted: MakeVoted) -> None:
    single = make_voted({"majority": "1", "max_last": "1"}, n=1, prm="prm-qwen")
    with pytest.raises(RunError, match="no cell of this run took several votes: they need several"):
        votes_of([*single, *make_voted({"majority": "1"}, "majority")])


def test_a_run_of_tree_searches_alone_shows_the_votes_of_its_largest_trees(
    make_voted: MakeVoted,
) -> None:
    right = {"majority": "1", "max_last": "1"}
    records = [
        record
        for strategy in ("dvts", "beam_search")
        for n in (4, 16)
        for record in make_voted(right, strategy, n, prm="prm-qwen")
    ]
    assert [(cell.row.strategy, cell.row.n) for cell in votes_of(records).cells] == [
        ("beam_search", 16), ("dvts", 16),
    ]  # fmt: skip
    with pytest.raises(RunError, match="has 'cot' in its name; there are: policy-160k/prm-qwen/be"):
        votes_of(records, "cot")


def test_a_fallback_is_no_cell_of_samples_and_settings_make_no_second_one(
    make_voted: MakeVoted,
) -> None:
    right = {"majority": "1", "max_last": "1"}
    then = {"then": {"strategy": "dvts", "n": 16}}
    records = [
        *make_voted(right, prm="prm-qwen", cell="a", settings=then),
        *make_voted(right, prm="prm-qwen", cell="b"),
        *make_voted(right, prm="prm-qwen", cell="c", settings={"temperature": 1.0}),
    ]
    assert [rows[0].cell for rows in sampling_cells(summarise(records))] == ["b"]


def test_json_has_every_vote_of_every_cell(make_voted: MakeVoted) -> None:
    records = make_voted(RIGHT | {"max_min": "0" * 10}, prm="prm-qwen")
    summary = summarise(records)
    read = json.loads(to_json(summary, votes=votes_json(summary, cells_by_id(records))))
    (cell,) = read["votes"]
    assert cell["cell"] == "policy-160k/prm-qwen/best_of_n/16"
    assert [vote["vote"] for vote in cell["votes"]][-1] == "max_min"
    assert cell["votes"][0] == {
        "vote": "max_last", "rank": 1, "is_tied": False, "accuracy": 1.0,
        "over_majority": {
            "problems": 10, "ours": 1.0, "theirs": 0.2, "difference": 0.8, "ci_low": 0.5,
            "ci_high": 1.0, "wins": 8, "losses": 0, "verdict": "better",
        },
    }  # fmt: skip
