import json

import pytest
from rich.console import Console

from orchestrator.core.records import Verdict
from orchestrator.errors import RunError
from orchestrator.report.compare.comparison import ComparedRun, compare_runs
from orchestrator.report.compare.gains import gains
from orchestrator.report.data.cells import gather
from orchestrator.report.data.summary import summarise
from orchestrator.report.tables.comparison_table import (
    comparison_json,
    comparison_table,
    conclusions,
    sentence,
)
from orchestrator.statistics import paired_bootstrap


def as_run(records, name="one", trained=()):
    cells = {cell.id: cell for cell in gather(records)}
    return ComparedRun(name=name, summary=summarise(records), cells=cells, trained=dict(trained))


@pytest.fixture
def cell(make_record):
    """The records of a cell, one for each problem: "1" where it is right."""

    def records(right, strategy="cot", n=1, *, start=0, **changes):
        verdict = "auto" if strategy == "auto" else "majority"
        return [
            make_record(
                problem=f"p{start + i}", strategy=strategy, n=n,
                verdicts={verdict: Verdict(answer="7", correct=each == "1")}, **changes,
            )
            for i, each in enumerate(right)
        ]  # fmt: skip

    return records


def printed(found, derived=(), width=80):
    console = Console(width=width, record=True)
    console.print(comparison_table(found, derived))
    return console.export_text()


def test_within_a_run_cells_stand_against_their_policys_cot(make_run):
    found = compare_runs([as_run(make_run(6))])
    for each in found.differences:
        own = each.side.row.policy == each.base.row.policy
        assert each.base.row.strategy == "cot"
        assert own or each.side.row.strategy == "cot"
    small = found.sides[0]
    assert all(each.side is not small for each in found.differences)
    assert len(found.differences) == len(found.sides) - 1


def test_the_same_cells_of_two_runs_stand_against_each_other(cell):
    before = as_run([*cell("1100"), *cell("1110", "majority", 4)], "before")
    after = as_run([*cell("1111"), *cell("0010", "majority", 4)], "after")
    found = compare_runs([before, after]).differences
    pairs = {
        (each.side.run, each.side.row.strategy): (each.base.run, each.base.row.strategy)
        for each in found
    }
    assert pairs == {
        ("before", "majority"): ("before", "cot"),
        ("after", "cot"): ("before", "cot"),
        ("after", "majority"): ("before", "majority"),
    }
    assert [each.found.difference for each in found] == [0.25, 0.5, -0.5]


def test_a_method_is_the_same_in_another_run_whatever_its_settings(cell):
    before = as_run(cell("1100", cell="cot-a"), "before")
    after = as_run(cell("1110", cell="cot-b", settings={"temperature": 1}), "after")
    (only,) = compare_runs([before, after]).differences
    assert (only.side.cell.id, only.base.cell.id) == ("cot-b", "cot-a")


def test_only_common_problems_count_and_are_matched_by_id(cell):
    before = as_run(cell("110011"), "before")
    after = as_run(cell("0111", start=2)[::-1], "after")  # p2 … p5
    (only,) = compare_runs([before, after]).differences
    found = only.found
    assert (found.problems, found.theirs, found.ours) == (4, 0.5, 0.75)
    assert (found.wins, found.losses) == (1, 0)
    expected = paired_bootstrap([0, 1, 1, 1], [0, 0, 1, 1])
    assert (found.difference, found.ci_low, found.ci_high) == expected


def test_the_first_wanted_cell_is_what_the_others_stand_against(make_run):
    found = compare_runs([as_run(make_run(4))], ["prm-qwen/dvts/16", "160k/*/majority"])
    assert [(side.row.strategy, side.row.n) for side in found.sides][:1] == [("dvts", 16)]
    assert {each.side.row.strategy for each in found.differences} == {"dvts", "majority"}
    assert all(each.base is found.sides[0] for each in found.differences)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [(["nope"], "no cell has 'nope' in its name; there are: policy"), (["2m/None/cot"], "only")],
)
def test_cells_that_cannot_be_compared_are_said_in_a_line(make_run, wanted, message):
    with pytest.raises(RunError, match=message):
        compare_runs([as_run(make_run(2))], wanted)


@pytest.fixture
def voting(make_voted):
    """A run of one cell of three votes."""
    right = {"majority": "000000001111", "borda_mean": "111111111111", "max_last": "000000111111"}
    return as_run(make_voted(right, prm="prm-qwen"))


def test_each_side_takes_the_vote_that_is_named_behind_its_cell(voting):
    found = compare_runs([voting], ["best_of_n@majority", "best_of_n@borda_mean"])
    (only,) = found.differences
    assert (only.base.row.vote, only.side.row.vote) == ("majority", "borda_mean")
    assert (only.found.wins, only.found.losses, only.verdict) == (8, 0, "better")
    assert sentence(only).startswith(
        "policy-160k (0.16M) best-of-N 16 borda_mean under prm-qwen is better than "
        "policy-160k (0.16M) best-of-N 16 majority under prm-qwen: +66.7 points"
    )


def test_a_pattern_names_several_votes_and_none_counts_twice(voting):
    found = compare_runs([voting], ["best_of_n@majority", "best_of_n@*"])
    assert [side.row.vote for side in found.sides] == ["majority", "max_last", "borda_mean"]
    assert {each.base.row.vote for each in found.differences} == {"majority"}


def test_a_cell_alone_keeps_the_vote_that_tables_show(voting):
    found = compare_runs([voting], ["best_of_n", "best_of_n@borda_mean"])
    assert [side.row.vote for side in found.sides] == ["max_last", "borda_mean"]


def test_across_runs_a_vote_stands_against_the_same_vote(voting):
    after = ComparedRun(
        name="two", summary=voting.summary, cells=voting.cells, trained=voting.trained
    )
    (only,) = compare_runs([voting, after], ["best_of_n@borda_mean"]).differences
    assert (only.base.run, only.base.row.vote) == ("one", "borda_mean")


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("best@borda", "no cell with 'best' in its name counted the vote 'borda'; they counted: "
         "majority, max_last, borda_mean"),
        ("nope@majority", "no cell has 'nope' in its name; there are: policy-160k/prm-qwen/best"),
    ],
)  # fmt: skip
def test_a_vote_that_no_cell_counted_is_said_with_those_it_did(voting, wanted, message):
    with pytest.raises(RunError, match=message):
        compare_runs([voting], [wanted])


def test_runs_of_other_tasks_or_problems_are_refused(cell):
    first = as_run(cell("10"), "one")
    with pytest.raises(RunError, match=r"one is of sums and two of aime24: .* the same task"):
        compare_runs([first, as_run(cell("10", task="aime24"), "two")])
    with pytest.raises(RunError, match="one and two have no problem in common"):
        compare_runs([first, as_run(cell("10", start=5), "two")])


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [
        ("1" * 20 + "0" * 10, "0" * 30, "better"),
        ("0" * 30, "1" * 20 + "0" * 10, "worse"),
        ("1" * 15 + "0" * 15, "0" * 15 + "1" * 15, "not shown"),
        ("1" * 30, "1" * 30, "not shown"),
        ("1", "0", "not shown"),
        ("1" * 5 + "0" * 25, "0" * 30, "not shown"),  # the bootstrap alone would be sure of it
        ("1" * 6 + "0" * 24, "0" * 30, "better"),
    ],
)
def test_a_verdict_needs_the_interval_and_the_sign_test(cell, ours, theirs, verdict):
    run = as_run([*cell(theirs), *cell(ours, "majority", 4)])
    (only,) = compare_runs([run]).differences
    assert only.verdict == verdict
    said = sentence(only)
    assert ("neither better nor worse" in said) == (verdict == "not shown")
    assert (f"is {verdict} than" in said) == (verdict != "not shown")


def test_aime_sized_sets_say_how_little_they_tell(cell):
    found = compare_runs([as_run([*cell("0" * 30), *cell("10" * 15, "majority", 4)])])
    assert "30 problems: only differences beyond about ±20.0 points could be seen." in list(
        conclusions(found)
    )
    (tiny,) = compare_runs([as_run([*cell("0"), *cell("1", "majority", 4)])]).differences
    assert tiny.visible == 1.0


def test_many_comparisons_are_summed_up_with_what_chance_alone_would_give(make_run):
    found = compare_runs([as_run(make_run(20))])
    first = next(conclusions(found))
    assert first.startswith(f"Of {len(found.differences)} comparisons ")
    assert "By chance alone about" in first


def test_tables_fit_a_terminal_and_name_every_method_and_prm(make_run):
    run = as_run(make_run(12))
    text = printed(compare_runs([run]), [("one", gain) for gain in gains(run.summary)])
    assert "…" not in text
    for name in ("under prm-qwen", "DVTS 64 max_last", "majority 16", "policy-2m CoT"):
        assert name in text
    assert max(map(len, text.splitlines())) <= 80


def test_pre_training_is_compared_between_policies(cell):
    large = cell("11", policy="large", policy_params=405_000_000_000)
    small = cell("11", "majority", 4, policy="small", policy_params=3_000_000_000)
    run = as_run([*large, *small], trained={"large": 15e12, "small": 9e12})
    text = printed(compare_runs([run], ["large", "small"]), width=200)
    assert "took 1.62e23 FLOPs in all, 225× fewer than large (405B) CoT" in text


def test_json_says_all_that_the_table_does(make_run):
    run = as_run(make_run(5))
    found, derived = compare_runs([run]), [("one", gain) for gain in gains(run.summary)]
    read = json.loads(comparison_json(found, derived))
    assert read["cells"][0]["run"] == "one"
    first = read["differences"][0]
    assert read["cells"][first["base"]]["strategy"] == "cot"
    assert first["difference"] == round(found.differences[0].found.difference, 4)
    assert read["cells"][first["cell"]]["accuracy"] == first["accuracy"]
    assert first["verdict"] in ("better", "worse", "not shown")
    assert read["conclusions"] == list(conclusions(found))
    assert len(read["derived"]) == len(derived) > 0


def test_gains_are_over_cot_and_over_majority_at_its_best(cell):
    records = [
        *cell("1000"), *cell("1000", "majority", 4, policy_tokens=100),
        *cell("1100", "majority", 16, policy_tokens=400),
        *cell("1110", "dvts", 4, prm="prm-qwen", policy_tokens=100, prm_tokens=100),
        *cell("1100", "auto", 0, prm="prm-qwen", policy_tokens=30, prm_tokens=20),
    ]  # fmt: skip
    found = {gain.strategy: gain for gain in gains(summarise(records))}
    assert (found["majority"].over_cot, found["majority"].in_n) == (1.0, None)
    assert found["dvts"].over_cot == 2.0
    assert found["dvts"].in_n == (4.0, "at least")
    assert found["dvts"].in_tokens == (2.0, "at least")
    assert (found["auto"].in_n, found["auto"].in_tokens) == (None, (8.0, ""))


def test_best_of_n_lends_its_samples_to_majority_without_the_prms_tokens(make_record):
    votes = {vote: Verdict(answer="7", correct=True) for vote in ("majority", "max_last")}
    record = make_record(
        strategy="best_of_n", n=4, prm="prm-qwen", verdicts=votes, policy_tokens=40, prm_tokens=40
    )
    (gain,) = gains(summarise([record]))
    assert gain.in_tokens == (0.5, "")


def test_samples_that_a_tree_search_joined_are_no_majority_vote(make_record):
    votes = {vote: Verdict(answer="7", correct=True) for vote in ("majority", "max_last")}
    stop = {"rule": "beta", "confidence": 0.9, "batch": 4}
    record = make_record(
        strategy="best_of_n", n=4, prm="prm-qwen", verdicts=votes, policy_tokens=40, prm_tokens=40,
        settings={"stop": stop, "then": {"strategy": "dvts", "n": 4}},
    )  # fmt: skip
    assert gains(summarise([record])) == []


def test_a_run_without_cot_and_majority_has_no_derived_figures(cell):
    assert gains(summarise(cell("10", "dvts", 4, prm="prm-qwen")[:0])) == []
    only = cell("10", "beam_search", 4)
    for record in only:
        record.verdicts["max_last"] = record.verdicts.pop("majority")
    assert gains(summarise(only)) == []
