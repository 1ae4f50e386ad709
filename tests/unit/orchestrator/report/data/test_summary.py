import json
from dataclasses import asdict, fields, replace

import pytest

from orchestrator.core.compute import Flops
from orchestrator.core.records import Verdict
from orchestrator.report.data.headline import HeadlineSpec
from orchestrator.report.data.summary import SummaryRow, rounded, summarise, to_json
from orchestrator.statistics import wilson

SPEC = HeadlineSpec(
    small="policy-160k", prm="prm-qwen", strategy="beam_search", n=16, vote="max_last",
    large="policy-2m",
)  # fmt: skip


def test_a_cell_has_one_row_for_every_vote(make_record):
    votes = {
        vote: Verdict(answer="7", correct=vote != "max_min")
        for vote in ("weighted_last", "max_min", "majority")
    }
    rows = summarise([make_record(verdicts=votes, strategy="best_of_n", n=4, prm="prm-qwen")]).rows
    assert [(row.vote, row.accuracy) for row in rows] == [
        ("majority", 1), ("max_min", 0), ("weighted_last", 1),
    ]  # fmt: skip


def test_a_row_has_exactly_the_promised_fields():
    assert [field.name for field in fields(SummaryRow)] == [
        "task", "cell", "policy", "policy_params", "prm", "strategy", "n", "settings", "vote",
        "problems", "accuracy", "ci_low", "ci_high", "policy_tokens", "prompt_tokens",
        "cached_tokens", "wasted_tokens", "prm_tokens", "prm_cached_tokens", "prm_wasted_tokens",
        "flops", "requests", "cost", "seconds", "by_difficulty", "sound_accuracy", "by_majority",
        "difficulty_of", "emulated", "refused", "samples", "leaves", "ends", "other_models",
        "other_prm_models", "failure", "undecided", "models",
    ]  # fmt: skip


def test_costs_are_totals_and_accuracy_comes_with_its_interval(make_record):
    records = [make_record(problem=f"p{i}", correct=i < 3, prm="prm-qwen") for i in range(4)]
    (row,) = summarise(records).rows
    assert (row.problems, row.accuracy) == (4, 0.75)
    assert (row.ci_low, row.ci_high) == wilson(3, 4)
    assert (row.policy_tokens, row.prm_tokens, row.requests, row.seconds) == (40, 80, 4, 2.0)


def test_flops_are_two_a_parameter_and_token_that_no_cache_held(make_record):
    use = {"policy_tokens": 100, "prompt_tokens": 50, "cached_tokens": 30, "prm_tokens": 200,
           "prm_cached_tokens": 150}  # fmt: skip
    models = {"policy_params": 1000, "prm": "prm-qwen", "prm_params": 10}
    (row,) = summarise([make_record(**models, **use)]).rows
    assert row.flops == Flops(policy_prefill=40_000, policy_decode=200_000, prm=1000)
    assert json.loads(to_json(summarise([make_record(**models, **use)])))["rows"][0]["flops"] == {
        "policy_prefill": 40_000, "policy_decode": 200_000, "prm": 1000,
    }  # fmt: skip


@pytest.mark.parametrize("unknown", [{"policy_params": None}, {"prm_params": None}])
def test_flops_need_the_parameters_of_policy_and_prm(make_record, unknown):
    assert summarise([make_record(prm="prm-qwen", **unknown)]).rows[0].flops is None


def test_waste_is_known_where_every_record_counted_it(make_record):
    counted = [make_record(problem=f"p{i}", wasted_tokens=i, prm_wasted_tokens=2) for i in range(4)]
    (row,) = summarise(counted).rows
    assert (row.wasted_tokens, row.prm_wasted_tokens) == (6, 8)
    assert summarise([*counted, make_record(problem="old")]).rows[0].wasted_tokens is None


def test_the_wall_clock_runs_while_some_problem_is_under_way(make_record):
    ends = [(2.0, 1002.0), (3.0, 1004.0), (1.0, 1003.5), (5.0, 2005.0)]  # seconds, ended
    records = [
        make_record(problem=str(i), seconds=took, ended=end) for i, (took, end) in enumerate(ends)
    ]
    assert summarise(records).wall_seconds == 9.0
    assert summarise([*records, make_record(problem="old")]).wall_seconds is None


def test_a_bins_accuracy_comes_with_its_interval_and_its_tokens(make_record, make_leaf):
    leaves = tuple(make_leaf(i == 0, i) for i in range(4))
    records = [
        make_record(problem=str(i), strategy="majority", n=4, leaves=leaves, policy_tokens=10 * i,
                    correct=i < 3)
        for i in range(4)
    ]  # fmt: skip
    (share,) = summarise(records).rows[0].by_difficulty.values()
    assert (share["accuracy"], share["tokens"]) == (0.75, 15)
    assert (share["ci_low"], share["ci_high"]) == wilson(3, 4)


def test_rows_go_from_small_to_large_and_from_plain_to_guided(make_run):
    rows = summarise(make_run(3)).rows
    assert list(dict.fromkeys(row.policy for row in rows)) == [
        "policy-160k", "policy-430k", "policy-2m",
    ]  # fmt: skip
    small = [row for row in rows if row.policy == "policy-160k" and row.prm != "prm-shepherd"]
    assert list(dict.fromkeys((row.strategy, row.n) for row in small)) == [
        ("cot", 1), ("majority", 4), ("majority", 16), ("majority", 64),
        *((strategy, n) for strategy in ("best_of_n", "beam_search", "dvts") for n in (4, 16, 64)),
    ]  # fmt: skip


def test_the_later_record_of_a_problem_stands(make_record):
    (row,) = summarise([make_record(correct=False), make_record(correct=True)]).rows
    assert (row.problems, row.accuracy) == (1, 1)


def test_a_failed_problem_counts_as_wrong(make_record):
    failed = make_record(problem="p1", verdicts={}, error="the endpoint went away")
    cut = make_record(problem="p2", ran_out="policy_tokens")
    summary = summarise([make_record(), failed, cut])
    assert (summary.rows[0].problems, summary.rows[0].accuracy) == (3, pytest.approx(2 / 3))
    assert (summary.failed, summary.ran_out) == (1, 1)


def test_bins_come_from_the_majority_samples_of_the_largest_n(make_record, make_leaf):
    def samples(problem, right, total, n):
        leaves = tuple(make_leaf(i < right, i) for i in range(total))
        return make_record(problem=problem, strategy="majority", n=n, leaves=leaves)

    records = [
        samples("a", 4, 4, 4), samples("b", 4, 4, 4), samples("c", 4, 4, 4),
        samples("a", 10, 20, 20), samples("b", 2, 20, 20), samples("c", 1, 20, 20),
        make_record(problem="b", strategy="best_of_n", n=64, prm="prm-qwen",
                    leaves=tuple(make_leaf(True, i) for i in range(64))),
    ]  # fmt: skip
    row = next(row for row in summarise(records).rows if row.n == 20)
    assert {bin: share["problems"] for bin, share in row.by_difficulty.items()} == {
        "easy": 1, "medium": 1, "hard": 1,
    }  # fmt: skip
    assert row.difficulty_of == "policy-160k"


def test_without_majority_best_of_n_makes_the_bins(make_record, make_leaf):
    leaves = tuple(make_leaf(i == 0, i) for i in range(4))
    records = [make_record(strategy="best_of_n", n=4, prm="prm-qwen", leaves=leaves)]
    (row,) = summarise(records).rows
    assert row.by_difficulty.keys() == {"medium"}
    assert row.by_difficulty["medium"]["problems"] == 1


def test_fewer_than_four_samples_make_no_bins(make_record, make_leaf):
    leaves = tuple(make_leaf(True, i) for i in range(3))
    (row,) = summarise([make_record(strategy="majority", n=3, leaves=leaves)]).rows
    assert (row.by_difficulty.keys(), row.difficulty_of) == ({"unknown"}, None)


STOPS = {"temperature": 0.7, "stop": {"rule": "beta", "confidence": 0.95, "batch": 4}}


def drawn_by(strategy, settings, leaves, make_record, **changes):
    record = make_record(
        strategy=strategy, n=changes.pop("n", 8), prm="prm-qwen", settings=settings,
        leaves=tuple(leaves), **changes,
    )  # fmt: skip
    (row,) = summarise([record]).rows
    return {bin: share["problems"] for bin, share in row.by_difficulty.items()}


def test_a_leaf_that_a_search_found_makes_no_problem_easier(make_record, make_leaf):
    first = [make_leaf(False, i) for i in range(4)]
    batch = [replace(make_leaf(False, i), path=(1_000_004, i)) for i in range(4)]
    found = replace(make_leaf(True), path=(1_000_008, 0, 2))
    followed = STOPS | {"then": {"strategy": "dvts", "n": 4}}
    leaves = [*first, *batch, found]
    assert drawn_by("best_of_n", followed, leaves, make_record) == {"hard": 1}


def test_of_a_vote_that_stopped_early_the_first_batch_alone_counts(make_record, make_leaf):
    """Sampling went on for as long as no answer led: what came then is no sample of the policy."""
    first = [make_leaf(i == 0, i) for i in range(4)]
    later = [replace(make_leaf(True, i), path=(1_000_004, i)) for i in range(4)]
    assert drawn_by("majority", STOPS, [*first, *later], make_record) == {"medium": 1}
    assert drawn_by("majority", STOPS, later, make_record) == {"unknown": 1}
    two = STOPS | {"stop": STOPS["stop"] | {"batch": 2}}
    later = [replace(make_leaf(True, i), path=(1_000_002, i)) for i in range(2)]
    assert drawn_by("majority", two, [*first[:2], *later], make_record) == {"unknown": 1}


@pytest.mark.parametrize(
    ("strategy", "settings"),
    [
        ("best_of_n", {"temperature": 0.0}), ("majority", {"temperature": 0.0}),
        ("beam_search", {"temperature": 0.7}), ("dvts", {"temperature": 0.7}),
        ("auto", {"profile": "p", "budget": 9.0, "unit": "tokens"}),
    ],
)  # fmt: skip
def test_greedy_and_guided_leaves_make_no_bins(strategy, settings, make_record, make_leaf):
    leaves = [make_leaf(True, i) for i in range(8)]
    verdicts = {"auto" if strategy == "auto" else "majority": Verdict(answer="7", correct=True)}
    assert drawn_by(strategy, settings, leaves, make_record, verdicts=verdicts) == {}


def test_whoever_drew_all_samples_makes_the_bins_before_whoever_may_stop(make_record, make_leaf):
    stopped = make_record(
        strategy="majority", n=64, settings=STOPS, cell="stops",
        leaves=tuple(make_leaf(i == 0, i) for i in range(4)),
    )  # fmt: skip
    whole = make_record(
        strategy="best_of_n", n=8, prm="prm-qwen", settings={"temperature": 0.7}, cell="whole",
        leaves=tuple(make_leaf(False, i) for i in range(8)),
    )  # fmt: skip
    assert {*summarise([stopped, whole]).rows[0].by_difficulty} == {"hard"}


def test_a_problem_with_too_few_samples_in_one_cell_is_binned_by_another(make_record, make_leaf):
    few = make_record(strategy="majority", n=64, leaves=(make_leaf(True),), ran_out="seconds")
    other = make_record(
        strategy="best_of_n",
        n=4,
        prm="prm-qwen",
        leaves=tuple(make_leaf(False, i) for i in range(4)),
    )
    assert {*summarise([few, other]).rows[0].by_difficulty} == {"hard"}


def test_problems_of_unknown_difficulty_stand_beside_those_of_a_bin(make_record, make_leaf):
    records = [
        make_record(
            problem=f"p{i}", strategy="majority", n=4,
            leaves=tuple(make_leaf(True, k) for k in range(4 if i else 3)),
        )
        for i in range(3)
    ]  # fmt: skip
    (row,) = summarise(records).rows
    assert {bin: share["problems"] for bin, share in row.by_difficulty.items()} == {
        "easy": 2, "unknown": 1,
    }  # fmt: skip


def test_a_policy_without_samples_borrows_the_bins_of_the_headlines_small_one(make_run):
    records = [r for r in make_run(12) if r.policy != "policy-2m" or r.strategy == "cot"]
    large = next(row for row in summarise(records, SPEC).rows if row.policy == "policy-2m")
    small = next(row for row in summarise(records, SPEC).rows if row.policy == "policy-160k")
    assert large.difficulty_of == "policy-160k"
    assert {b: s["problems"] for b, s in large.by_difficulty.items()} == {
        b: s["problems"] for b, s in small.by_difficulty.items()
    }
    unnamed = next(row for row in summarise(records).rows if row.policy == "policy-2m")
    assert (unnamed.by_difficulty, unnamed.difficulty_of) == ({}, None)


def test_problems_whose_answer_the_majority_elected_for_want_of_scores_are_counted(make_record):
    scored = {vote: Verdict(answer="7", correct=True) for vote in ("majority", "max_last")}
    unscored = scored | {"max_last": Verdict(answer="7", correct=True, by="majority")}
    records = [
        make_record(problem="a", verdicts=scored, prm="prm-qwen"),
        make_record(problem="b", verdicts=unscored, prm="prm-qwen"),
        make_record(problem="c", verdicts={}, prm="prm-qwen", error="gone"),
    ]
    assert {row.vote: row.by_majority for row in summarise(records).rows} == {
        "majority": 0, "max_last": 1,
    }  # fmt: skip


def test_whole_chains_are_counted_only_where_they_are_known(make_record):
    def accuracy(*verdicts):
        records = [
            make_record(problem=str(i), verdicts={"majority": verdict})
            for i, verdict in enumerate(verdicts)
        ]
        return summarise(records).rows[0].sound_accuracy

    right = Verdict(answer="7", correct=True, sound=True)
    lucky = Verdict(answer="7", correct=True, sound=False)
    wrong, unknown = Verdict(answer="8", correct=False), Verdict(answer="7", correct=True)
    assert accuracy(right, lucky, wrong, right) == 0.5
    assert accuracy(unknown, wrong) is None
    assert accuracy(right, unknown) is None


def test_summary_json_is_rounded_indented_and_in_the_order_of_the_fields(make_run):
    summary = summarise(make_run(7), SPEC)
    written = to_json(summary)
    assert written == to_json(summarise(make_run(7), SPEC))
    assert written.startswith(b'{\n  "rows": [\n    {\n      "task": "sums",\n')
    read = json.loads(written)
    assert list(read["rows"][0]) == [field.name for field in fields(SummaryRow)]
    assert read["rows"][0]["accuracy"] == round(summary.rows[0].accuracy, 4)
    assert read["headline"].keys() == asdict(summary.headline).keys()


def test_dollars_keep_more_digits_than_shares_in_json():
    value = {"cost": 0.0000451, "accuracy": 0.123456, "settings": {"budget": 0.0001365}}
    expected = {"cost": 0.0000451, "accuracy": 0.1235, "settings": {"budget": 0.0001365}}
    assert rounded([value]) == [expected]


def test_no_records_make_an_empty_summary():
    assert summarise([]).rows == ()
