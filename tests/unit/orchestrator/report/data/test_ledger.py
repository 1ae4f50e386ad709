from dataclasses import replace

from rich.console import Console

from orchestrator.report.data.ledger import ledger
from orchestrator.report.data.summary import summarise


def printed(summary, trained=(), width=80):
    console = Console(width=width, record=True)
    console.print(ledger(summary, dict(trained)))
    return console.export_text()


def test_every_cell_has_a_line_that_no_narrow_terminal_cuts(make_run):
    text = printed(summarise(make_run(3)))
    assert "…" not in text
    for strategy in ("CoT", "majority", "best-of-N", "beam search", "DVTS"):
        assert strategy in text
    assert text.count("DVTS") == 3 * 2 * 3  # policies, PRMs, N; not once a vote


def test_shares_are_of_what_they_are_part_of_and_unknown_ones_a_dash(make_record):
    use = {"policy_tokens": 200, "wasted_tokens": 50, "prompt_tokens": 40, "cached_tokens": 10}
    line = next(
        row for row in printed(summarise([make_record(**use)])).splitlines() if "CoT" in row
    )
    assert line.split()[:7] == ["CoT", "1", "200", "25", "40", "25", "–"]
    unknown = printed(summarise([make_record(policy_tokens=200)]))
    assert next(row for row in unknown.splitlines() if "CoT" in row).split()[3] == "–"


def test_totals_name_tokens_flops_money_and_the_wall_clock(make_record):
    records = [make_record(problem=str(i), cost=1.5, ended=100.0 + i / 4) for i in range(2)]
    text = printed(summarise(records), width=120)
    assert "In all: 20 policy tokens and 0 PRM tokens." in text
    assert f"FLOPs in all: {2 * 163_968 * 2 * 15:.2e}".replace("e+0", "e") in text
    assert "Cost in all: $3.00." in text
    assert "Wall clock: 0.8 s under way, in which problems took 1.0 s side by side." in text


def test_small_costs_of_a_hosted_model_are_whole_in_a_narrow_terminal(make_record):
    hosted = make_record(
        policy_params=None, cost=0.000045, policy_tokens=12_345, wasted_tokens=9_876
    )
    lines = printed(summarise([hosted])).splitlines()
    (row,) = [line for line in lines if "CoT" in line]
    assert row.split()[-1] == "0.000045"
    assert not any("read" in line.split() for line in lines)  # a heading of FLOPs


def test_what_probing_the_endpoints_cost_has_a_line_of_its_own(make_record):
    summary = replace(summarise([make_record(cost=1.5)]), probes_cost=0.0125)
    lines = printed(summary, width=120).splitlines()
    assert "Cost in all: $1.50." in lines
    assert "Cost of probing the endpoints, which is no cell's: $0.013." in lines
    assert "probing" not in printed(summarise([make_record(cost=1.5)]))


def test_flops_that_cannot_be_told_are_said_to_be_unknown(make_record):
    text = printed(summarise([make_record(policy_params=None)]), width=120)
    assert "name the `parameters` of every policy and PRM" in text


def test_pre_training_stands_beside_inference_where_it_is_known(make_record):
    summary = summarise([make_record(policy_params=3_000_000_000)])
    text = printed(summary, {"policy-160k": 9e12}, width=120)
    assert "policy-160k (3B) took 1.62e23 FLOPs to pre-train, on 9.0e12 tokens" in text
    assert "its cells 9.00e10 to 9.00e10 each" in text
    assert "pre-train" not in printed(summary)


def test_nothing_was_used_without_records():
    assert printed(summarise([])).strip() == "No records yet."
