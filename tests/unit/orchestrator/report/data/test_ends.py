"""What a reader is told of samples that did not end as they should."""

import io

import pytest

from orchestrator.console.terminal import Terminal
from orchestrator.report.data.ends import ends_in_words, warnings
from orchestrator.report.data.summary import summarise, to_json
from orchestrator.report.tables.table import report


@pytest.fixture
def rows(make_record):
    """The rows of one cell of two problems, 40 samples each."""

    def rows(ends, others=None, **more):
        both = [
            make_record(
                problem=f"p{i}", strategy="majority", n=4, samples=40, ends=ends if i else {},
                other_models=(others or {}) if i else {}, settings={"max_tokens": 64}, **more,
            )
            for i in range(2)
        ]  # fmt: skip
        return summarise(both).rows

    return rows


def test_each_kind_is_counted_in_the_rows_and_noted_below_the_table(rows, make_record):
    (row,) = rows({"length": 2, "filtered": 1, "failed": 1}, {"mini": 1})
    assert (row.samples, row.ends) == (80, {"failed": 1, "filtered": 1, "length": 2})
    (note,) = ends_in_words([row, row])
    assert note == (
        "policy-160k majority N = 4, 80 samples: 2 cut at max_tokens, 1 stopped by a content "
        "filter, 1 lost, 1 answered by mini."
    )
    summary = summarise([make_record(samples=8, ends={"length": 3})])
    assert b'"length": 3' in to_json(summary)
    console = Terminal(file=io.StringIO(), width=100)
    console.print(report(summary))
    assert "CoT N = 1, 8 samples: 3 cut at max_tokens." in console.file.getvalue()


@pytest.mark.parametrize(
    ("end", "says"),
    [
        ("length", "raise `max_tokens` (64)"),
        ("overflow", "--max-model-len"),
        ("filtered", "content filter"),
        ("refused", "refused by the model or its server"),
        ("empty", "chat template"),
        ("unanswered", "`orchard resume` asks for them again once the server is mended"),
        (
            "failed",
            "requests failed. The last failure: http://host broke off an answer: overloaded",
        ),
        ("unscored", "could not be scored"),
    ],
)
def test_from_5_percent_on_a_line_says_the_likely_cause(rows, end, says):
    failure = "http://host broke off an answer: overloaded"
    (line,) = warnings(rows({end: 4}, failure=failure))
    assert line.startswith("policy-160k majority N = 4: 5.0 % of 80 samples") and says in line
    assert not list(warnings(rows({end: 3})))


def test_dead_ends_are_a_share_of_the_paths_that_came_back(make_record, make_leaf):
    leaves = tuple(make_leaf(True, i) for i in range(4))
    record = make_record(samples=100, ends={"dead_end": 1}, leaves=leaves)
    (line,) = warnings(summarise([record]).rows)
    assert "25.0 % of 4 paths came to no usable next step" in line


def test_another_model_is_named_from_the_first_sample_on_and_warned_of_where_it_is_many(rows):
    assert "1 answered by gpt-4o-mini" in next(ends_in_words(rows({}, {"gpt-4o-mini": 1})))
    (line,) = warnings(rows({}, {"gpt-4o-mini": 80}))
    assert "were answered by gpt-4o-mini where policy-160k was asked for" in line


def test_another_model_that_scores_is_named_in_its_prms_place(rows):
    found = rows({}, prm="prm-qwen", other_prm_models={"gpt-4o-mini": 20})
    assert "40 scored by gpt-4o-mini" in next(ends_in_words(found))
    (line,) = warnings(found)
    assert "were scored by gpt-4o-mini where prm-qwen was asked for" in line


def test_cells_of_one_policy_share_a_line_which_names_the_worst(make_record):
    records = [
        make_record(strategy="majority", n=n, samples=100, ends={"length": 10 * n})
        for n in (2, 4, 8)
    ]
    (line,) = warnings(summarise(records).rows)
    assert line.startswith("policy-160k majority N = 8 (and 2 more cells): 80.0 % of 100 samples")


def test_where_all_ended_well_and_in_old_records_nothing_is_said(rows, make_record):
    old = summarise([make_record()]).rows
    for found in (rows({}), old):
        assert not list(ends_in_words(found)) and not list(warnings(found))
