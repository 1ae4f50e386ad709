import io
import re
from dataclasses import replace

import pytest

from orchestrator.console.terminal import Terminal
from orchestrator.core.records import Verdict
from orchestrator.report.data.headline import HeadlineSpec
from orchestrator.report.data.summary import summarise
from orchestrator.report.data.wording import amount, dollars, parameters
from orchestrator.report.tables.table import report

SPEC = HeadlineSpec(
    small="policy-160k", prm="prm-qwen", strategy="beam_search", n=16, vote="max_last",
    large="policy-2m",
)  # fmt: skip


def printed(records, *, spec=None, width=100) -> str:
    console = Terminal(file=io.StringIO(), width=width)
    console.print(report(summarise(records, spec)))
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, 100, 140])
def test_no_line_is_too_wide_and_nothing_is_cut(make_run, width):
    text = printed(make_run(15), spec=SPEC, width=width)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width


@pytest.mark.parametrize("paid", [False, True])
@pytest.mark.parametrize("width", [40, 50, 60, 70])
def test_a_narrow_table_keeps_strategy_vote_and_accuracy_and_says_what_it_leaves_out(
    make_run, width, paid
):
    records = [replace(each, cost=0.5 if paid else 0.0) for each in make_run(15)]
    text = printed(records, width=width)
    assert max(map(len, text.splitlines())) <= width and "…" not in text
    for row in summarise(records).rows:
        if (row.strategy, row.vote) == ("dvts", "max_last"):
            assert re.search(rf"DVTS +{row.n} +max_last +{100 * row.accuracy:.1f}", text)
    assert "weighted_last" in text and "best-of-N" in text
    assert "Too narrow a terminal for: easy/med/hard" in " ".join(text.split())


@pytest.mark.parametrize("width", [80, 92, 100, 140])
def test_every_number_of_a_row_stands_in_its_line(make_run, width):
    records = make_run(15)
    text = printed(records, spec=SPEC, width=width)
    digits = 0 if width == 80 else 1
    for row in summarise(records, SPEC).rows:
        if (row.strategy, row.vote) != ("dvts", "max_last"):
            continue
        shares = [row.by_difficulty.get(bin) for bin in ("easy", "medium", "hard")]
        bins = [f"{100 * share['accuracy']:.{digits}f}" if share else "–" for share in shares]
        pattern = (
            rf"DVTS +{row.n} +max_last +{100 * row.accuracy:.1f}[* ] +"
            rf"\[{100 * row.ci_low:.1f}, {100 * row.ci_high:.1f}\] +"
            rf"{row.policy_tokens / row.problems:,.0f} +{row.prm_tokens / row.problems:,.0f} +"
            rf"{'/'.join(bins) if width == 80 else ' +'.join(bins)} *\n"
        )
        assert re.search(pattern, text), pattern


def test_searches_of_other_rules_than_the_papers_are_named_apart(make_run):
    run = [each for each in make_run(15) if each.strategy == "dvts"]
    other = [
        replace(each, cell=f"{each.cell}o", settings=each.settings | {"rules": "orchard"})
        for each in run
    ]
    text = " ".join(printed([*run, *other], width=110).split())
    assert "DVTS, orchard rules" in text and re.search(r"DVTS \d", text)


def test_what_ends_early_or_goes_on_is_named_apart_and_votes_stay_whole(make_run):
    stop = {"stop": {"rule": "beta", "confidence": 0.9, "batch": 4}}
    then = {**stop, "then": {"strategy": "dvts", "n": 16}}
    run = [each for each in make_run(15) if each.strategy == "best_of_n"]
    told = [
        replace(each, cell=f"{each.cell}{i}", settings=each.settings | more)
        for each in run
        for i, more in enumerate((stop, then))
    ]
    text = " ".join(printed(told, width=110).split())
    assert "best-of-N, stops" in text and "best-of-N, then DVTS" in text
    narrow = printed(told, width=80)
    assert "easy/med/hard" in narrow and "weighted_last" in narrow
    assert max(map(len, narrow.splitlines())) <= 80


def test_in_the_narrowest_terminal_names_wrap_and_numbers_stay_whole(make_run):
    records = make_run(15)
    text = printed(records, spec=SPEC, width=66)
    for row in summarise(records, SPEC).rows:
        if (row.strategy, row.vote) == ("dvts", "max_last"):
            assert f"[{100 * row.ci_low:.1f}, {100 * row.ci_high:.1f}]" in text
            assert re.search(rf"\b{row.prm_tokens / row.problems:,.0f}\b", text)


def test_piped_output_has_no_colours(make_run):
    assert "\x1b" not in printed(make_run(5), spec=SPEC)


def test_policies_and_prms_head_their_rows(make_run):
    text = printed(make_run(5))
    for title in ("policy-160k (0.16M) without a PRM", "policy-2m (2.16M) under prm-shepherd"):
        assert title in text


def test_each_strategy_shows_one_vote_and_says_where_all_are(make_run):
    records = make_run(5)
    assert "max_min" not in printed(records)
    assert "summary.json" in printed(records)


def test_the_best_of_a_policy_and_n_is_marked(make_record):
    records = [
        make_record(strategy="majority", n=4, correct=False),
        make_record(strategy="self_made", n=4, correct=True),
    ]
    text = printed(records)
    assert re.search(r"majority +4 +majority +0.0 ", text)
    assert re.search(r"self made +4 +majority +100.0\*", text)


def test_the_best_by_difficulty_is_called_an_oracles_choice(make_run):
    text = printed(make_run(30))
    assert "an oracle's choice" in text
    assert re.search(r"policy-160k \(0.16M\) under prm-qwen, N = 64\s+easy: ", text)


def test_failures_borrowed_bins_and_limits_are_noted(make_run, make_record):
    records = [r for r in make_run(6) if r.policy != "policy-2m" or r.strategy == "cot"]
    failed = make_record(
        problem="extra", verdicts={}, error="gone", ran_out="requests", undecided=2
    )
    text = printed([*records, failed], spec=SPEC)
    assert "The bins of policy-2m are by the pass@1 of policy-160k." in text
    assert "Problems that did not finish, which count by the answers they have, if any: 1." in text
    assert "Trees that a limit cut short: 1." in text
    assert "could not be compared in time, neither equal nor different: 2." in text


def test_answers_that_the_majority_elected_for_want_of_scores_are_noted(make_record):
    def records(unscored):
        return [
            make_record(
                problem=f"p{i}", strategy="best_of_n", n=4, prm="prm-qwen",
                verdicts={"max_last": Verdict(
                    answer="7", correct=True, by="majority" if i < unscored else None)},
            )
            for i in range(3)
        ]  # fmt: skip

    said = " ".join(printed(records(2)).split())
    assert (
        "policy-160k best-of-N N = 4 under max_last: no solution was scored on 2 of 3 problems, "
        "and the majority decided;" in said
    )
    assert "the majority decided" not in printed(records(0))


def test_problems_of_unknown_difficulty_are_noted_and_no_bin_counts_them(make_record, make_leaf):
    def records(unknown):
        return [
            make_record(
                problem=f"p{i}", strategy="majority", n=4,
                leaves=tuple(make_leaf(i == 0, k) for k in range(3 if i < unknown else 4)),
            )
            for i in range(3)
        ]  # fmt: skip

    said = " ".join(printed(records(2)).split())
    assert "policy-160k: the difficulty of 2 of 3 problems is unknown, and no bin counts" in said
    assert "easy, medium, hard: % right" in said
    everything = " ".join(printed(records(3)).split())
    assert "the difficulty of 3 of 3 problems is unknown" in everything
    assert "easy, medium, hard: % right" not in everything
    assert "is unknown" not in printed(records(0))


def test_a_table_of_routed_cells_alone_explains_no_marks_and_bins_that_it_lacks(
    make_run, make_record
):
    routed = make_record(
        strategy="auto", n=0, settings={"profile": "p", "budget": 9.0, "unit": "tokens"},
        verdicts={"auto": Verdict(answer="7", correct=True)},
    )  # fmt: skip
    for text, explains in ((printed([routed]), False), (printed(make_run(6)), True)):
        assert ("a flattering pick" in text) is explains
        assert ("easy, medium, hard: % right" in text) is explains
        assert "means per problem" in text


def test_no_records_are_said_to_be_none():
    assert printed([]).strip() == "No records yet."


@pytest.mark.parametrize(
    ("count", "text"),
    [(163_968, "0.16M"), (2_160_256, "2.16M"), (13_500_000, "13.5M"), (1_236_000_000, "1.24B"),
     (7_000_000_000, "7B"), (405_000_000_000, "405B"), (999_900_000, "1B"), (812, "812")],
)  # fmt: skip
def test_sizes_are_short(count, text):
    assert parameters(count) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(12.4, "12"), (1234, "1,234"), (99_999, "99,999"), (100_000, "100k"), (1_200_000, "1.2M")],
)
def test_amounts_fit_six_characters(count, text):
    assert amount(count) == text
    assert len(text) <= 6


@pytest.mark.parametrize("width", [80, 100, 140])
def test_what_cost_money_says_how_much_a_problem(make_run, width):
    free = printed(make_run(15), width=width)
    assert "$" not in free and "costs" not in free
    records = [replace(record, cost=0.25) for record in make_run(15)]
    text = printed(records, width=width)
    assert max(map(len, text.splitlines())) <= width
    assert len(re.findall(r" 0\.25 ", text)) == len(re.findall(r"\[\d+\.\d, ", text))
    assert "Tokens and costs are means per problem." in " ".join(text.split())


def test_what_was_emulated_or_asked_for_in_vain_stands_under_the_table(make_run):
    records = [
        replace(record, emulated=("continuation",), refused=("temperature",))
        for record in make_run(5)
    ]
    text = " ".join(printed(records).split())
    policy = records[0].policy
    assert f"Emulated for {policy}, whose API lacks it: continuation, by an instruction" in text
    assert f"{policy} does not take, and ran without: temperature." in text


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "$0.00"),
        (0.0000123, "$0.000012"),
        (0.0456, "$0.046"),
        (0.5, "$0.5"),
        (0.999, "$1.00"),
        (0.0000045, "$0.0000045"),
        (4e-7, "$4e-7"),
        (1.26e-12, "$1.3e-12"),
        (-0.25, "-$0.25"),
        (1, "$1.00"),
        (1234.5, "$1,234.50"),
    ],
)
def test_dollars_keep_two_digits_that_say_something(amount, text):
    assert dollars(amount) == text
